/*
 * plain-curl PORT RATE SECONDS: libcurl alone doing what a poll does over the wire: RATE GETs a second on kept-alive connections through
 * one multi handle, bodies thrown away. Prints the CPU microseconds of this process per request: the floor for a poll.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { HANDLES = 64 };

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
    static CURL *idle[HANDLES];
    char url[128];
    int idle_count = 0, running = 0, left;
    long started = 0, done = 0;

    if (argc != 4) {
        fprintf(stderr, "usage: plain-curl PORT RATE SECONDS\n");
        return 2;
    }
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)HANDLES);
    snprintf(url, sizeof(url), "http://127.0.0.1:%s/api/v1/query?query=up&time=2026-01-01T00:00:00Z", argv[1]);
    for (; idle_count < HANDLES; idle_count++) {
        idle[idle_count] = curl_easy_init();
        curl_easy_setopt(idle[idle_count], CURLOPT_URL, url);
        curl_easy_setopt(idle[idle_count], CURLOPT_WRITEFUNCTION, drop);
        curl_easy_setopt(idle[idle_count], CURLOPT_NOSIGNAL, 1L);
    }
    double begin = now_s(), begin_cpu = cpu_us();
    for (double t; (t = now_s() - begin) < seconds;) {
        while (idle_count > 0 && (double)started < t * rate) {
            curl_multi_add_handle(multi, idle[--idle_count]);
            started++;
        }
        curl_multi_perform(multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));) {
            if (m->msg == CURLMSG_DONE) {
                CURL *easy = m->easy_handle;

                curl_multi_remove_handle(multi, easy);
                idle[idle_count++] = easy;
                done++;
            }
        }
        curl_multi_poll(multi, NULL, 0, 1, NULL);
    }
    printf("%.2f\n", done ? (cpu_us() - begin_cpu) / (double)done : 0.0);
    return 0;
}
