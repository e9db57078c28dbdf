/* A server that accepts connections and forgets them. One of its threads is in vfork(2), where it
 * waits in the kernel, not interruptible, for a child that does not end. */

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *start_helper(void *unused) {
    if (vfork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return unused;
}

static void *serve(void *listener) {
    for (;;)
        if (accept(*(int *)listener, NULL, NULL) < 0)
            fail("accept");
    return NULL;
}

int main(void) {
    pthread_t thread;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&at, &size))
        fail("listen");
    if (pthread_create(&thread, NULL, start_helper, NULL) || pthread_create(&thread, NULL, serve, &listener))
        fail("pthread_create");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    while (getchar() != EOF)
        ;
    _exit(0);
}
