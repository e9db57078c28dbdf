/* A server that answers each connection once and never closes it. On stdin it takes the commands
 * count and close; see startServer. The argument keepalive turns SO_KEEPALIVE on. */

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_KEPT = 65536 };

static int kept[MAX_KEPT];
static int n;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void serve(int listener, int keepalive) {
    char request[4096];
    int connection = accept(listener, NULL, NULL);
    if (connection < 0 || n == MAX_KEPT)
        fail("accept");
    if (keepalive && setsockopt(connection, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)))
        fail("setsockopt");
    if (read(connection, request, sizeof request) < 0 || write(connection, "hello\n", 6) != 6)
        fail("serve");
    kept[n++] = connection;
}

static void obey(const char *command) {
    if (strcmp(command, "close\n") == 0) {
        long long from = now();
        for (int i = 0; i < n; i++)
            close(kept[i]);
        printf("%d %lld %lld\n", n, from, now());
        n = 0;
    } else {
        printf("%d\n", n);
    }
}

int main(int argc, char **argv) {
    int keepalive = argc > 1 && strcmp(argv[1], "keepalive") == 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        fail("listen");
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    printf("%d\n", ntohs(address.sin_port));
    struct pollfd polled[] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (;;) {
        char command[64];
        if (poll(polled, 2, -1) < 0)
            fail("poll");
        if (polled[0].revents)
            serve(listener, keepalive);
        if (polled[1].revents) {
            if (!fgets(command, sizeof command, stdin))
                return 0;
            obey(command);
        }
    }
}
