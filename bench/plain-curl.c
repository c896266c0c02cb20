/*
 * plain-curl PORT SECONDS: libcurl alone doing what a poll does over the wire: GETs on kept-alive connections through one multi handle,
 * eight at a time and one after the other, bodies thrown away. Prints the CPU microseconds of this process per request: the floor
 * for a poll.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { HANDLES = 8 };

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static size_t drop(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes, (void)arg;
    return size * count;
}

int main(int argc, char **argv)
{
    CURL *easy[HANDLES];
    char url[128];
    int running = 0, left;
    long done = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: plain-curl PORT SECONDS\n");
        return 2;
    }
    double seconds = atof(argv[2]);
    CURLM *multi = curl_multi_init();
    snprintf(url, sizeof(url), "http://127.0.0.1:%s/api/v1/query?query=up&time=2026-01-01T00:00:00Z", argv[1]);
    for (int i = 0; i < HANDLES; i++) {
        easy[i] = curl_easy_init();
        curl_easy_setopt(easy[i], CURLOPT_URL, url);
        curl_easy_setopt(easy[i], CURLOPT_WRITEFUNCTION, drop);
        curl_easy_setopt(easy[i], CURLOPT_NOSIGNAL, 1L);
        curl_multi_add_handle(multi, easy[i]);
    }
    double begin = now_s(), begin_cpu = cpu_us();
    while (now_s() - begin < seconds) {
        curl_multi_perform(multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));) {
            if (m->msg != CURLMSG_DONE)
                continue;
            CURL *handle = m->easy_handle;
            curl_multi_remove_handle(multi, handle);
            curl_multi_add_handle(multi, handle);
            done++;
        }
        curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
    printf("%.2f\n", done ? (cpu_us() - begin_cpu) / (double)done : 0.0);
    return 0;
}
