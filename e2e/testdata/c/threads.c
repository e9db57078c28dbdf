/* A server with as many threads as the first argument, each of which waits for a connection, and as
 * many sockets as the second: both ends of connections to itself. */

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *wait_for(void *connection) {
    char data;
    while (read(*(int *)connection, &data, 1) == 1)
        ;
    return NULL;
}

int main(int count, char **arguments) {
    int threads = count == 3 ? atoi(arguments[1]) : 0, connections = count == 3 ? atoi(arguments[2]) / 2 : 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int *accepted = calloc(connections, sizeof *accepted);
    pthread_attr_t small;
    if (listener < 0 || !accepted || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&at, &size))
        fail("listen");
    for (int i = 0; i < connections; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        if (client < 0 || connect(client, (struct sockaddr *)&at, sizeof at) || (accepted[i] = accept(listener, NULL, NULL)) < 0)
            fail("connect");
    }
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = 0; i < threads && i < connections; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, wait_for, &accepted[i]))
            fail("pthread_create");
    }
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    while (getchar() != EOF)
        ;
    _exit(0);
}
