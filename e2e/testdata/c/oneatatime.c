/* A server that serves one client after the other, and waits for ever for a silent one. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void *serve(void *argument) {
	int listener = *(int *)argument;
	for (;;) {
		char buffer[4096];
		int connection = accept(listener, NULL, NULL);
		while (read(connection, buffer, sizeof buffer) > 0) {
			(void)!write(connection, "hello\n", 6);
		}
		close(connection);
	}
	return NULL;
}

int main(void) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;
	if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 128) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
	    pthread_create(&thread, NULL, serve, &listener) != 0) {
		return 1;
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	char end;
	while (read(0, &end, 1) > 0) {
	}
	return 0;
}
