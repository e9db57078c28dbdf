/* Leaks connections to itself: fetch reads their end and does not close them. It writes its port,
 * and for each line that it reads the number of connections that it has leaked. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 5 };

static int listener;
static struct sockaddr_in address;

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

__attribute__((noinline)) int open_connection(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(fd >= 0, "socket");
	must(!connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
	return fd;
}

__attribute__((noinline)) int fetch(void)
{
	int fd = open_connection(), server = accept(listener, NULL, NULL);
	char buf[8];

	must(server >= 0, "accept");
	close(server);
	must(read(fd, buf, sizeof(buf)) == 0, "read");
	return fd;
}

int main(void)
{
	socklen_t size = sizeof(address);
	char line[80];

	listener = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(!bind(listener, (struct sockaddr *)&address, sizeof(address)) && !listen(listener, 8), "listen");
	must(!getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (int i = 0; i < CONNECTIONS; i++)
			fetch();
		printf("%d\n", CONNECTIONS);
		fflush(stdout);
	}
	return 0;
}
