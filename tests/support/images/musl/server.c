/* Answers every HTTP/1 request with the value of GREETING. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **words) {
    char request[4096], answer[4096];
    const char *greeting = getenv("GREETING");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(words[count - 1]))};
    int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&at, sizeof at) || listen(server, 16)) {
        perror("server");
        return 1;
    }
    greeting = greeting ? greeting : "nothing";
    for (;;) {
        int client = accept(server, 0, 0);
        if (read(client, request, sizeof request) > 0) {
            int size = snprintf(answer, sizeof answer,
                                "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                                strlen(greeting), greeting);
            if (write(client, answer, size) < 0) perror("server");
        }
        close(client);
    }
}
