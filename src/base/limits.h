/*
 * limits: every bound Weir keeps, with its reason. A bound that is hit is an error of kind ERROR_LIMIT that names it.
 */
#ifndef WEIR_BASE_LIMITS_H
#define WEIR_BASE_LIMITS_H

enum {
    /* ---- manifests ---- */
    MANIFEST_FILE_MAX_BYTES = 4 * 1024 * 1024, /* etcd refuses objects above 1.5 MiB; a List of some is plausible */
    TREE_DEPTH_MAX = 100,                      /* the Kubernetes API nests about 20 deep */
    TREE_NODES_MAX = 1000 * 1000,              /* keeps alias bombs ("billion laughs") at a few tens of MiB */
    ZONE_FILE_MAX_BYTES = 64 * 1024,           /* a compiled time zone; the largest of tzdata is 4 KB */
    TRIGGERS_MAX = 100,                        /* per object; the largest found in the field has 31 */
    CREDENTIAL_PARAMS_MAX = 256,        /* of one TriggerAuthentication; the most any trigger type knows is about 30 */
    CREDENTIAL_FETCHED_MAX = 10 * 1000, /* secrets, logins and tokens fetched and kept: 2 KB each */
    CREDENTIAL_FETCHED_IN_NAMESPACE_MAX = 2500,        /* a quarter, so that one namespace cannot take all */
    CREDENTIAL_KEPT_MAX_BYTES = 256 * 1024,            /* of one of these: bundles of certificates have up to 200 KB */
    CREDENTIAL_STORE_MAX_BYTES = 64 * 1024 * 1024,     /* of all: 6 KB each, more than a chain of certificates */
    CREDENTIAL_NAMESPACE_MAX_BYTES = 16 * 1024 * 1024, /* of one namespace: a quarter */
    CREDENTIAL_ASKERS_MAX =
        1000, /* TriggerAuthentications that are told of one thing: of one namespace or the cluster */
    CREDENTIAL_REFRESH_MIN_MS = 5000, /* nothing is fetched anew sooner, however short a life its server gives it */
    CREDENTIAL_ANSWER_MAX_BYTES = 1024 * 1024, /* of Vault or of a token server; etcd's bound for a Secret */
    CREDENTIAL_FILE_MAX_BYTES = 1024 * 1024,   /* of filePath, and of a service account's token: likewise */
    CREDENTIAL_FORM_MAX_BYTES = 16 * 1024, /* scopes or parameters for a token server; servers refuse longer forms */
    CREDENTIAL_LIFE_MAX_S = 10 * 365 * 24 * 3600, /* believed of a lease or a token that somebody else counts */
    CREDENTIAL_ACCOUNT_TOKEN_MS = 3600 * 1000,    /* of a service account's: KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY */
    CREDENTIAL_UNUSED_MS = 60 * 1000, /* kept so long after its last use: an object is built anew within seconds */
    MANIFEST_FINDINGS_MAX = 1000,     /* of one file: nobody reads more, and each costs memory */
    LINT_ALLOWS_MAX = 1000,           /* comments of one file that silence findings: as many as there can be findings */
    /* ---- formulas ---- */
    FORMULA_SOURCE_MAX_BYTES = 1024 * 1024, /* expr-lang has no bound; etcd's is about this */
    FORMULA_NODES_MAX = 10000,              /* expr-lang's own bound (expr-language.md 7) */
    FORMULA_DEPTH_MAX = 1200,               /* vectors nest 500; beyond this the C stack would be at risk */
    FORMULA_STEPS_MAX = 20 * 1000 * 1000,   /* about 0.1 s: one formula may not stall the loop longer */
    FORMULA_MEMORY_SLOTS_MAX = 64,     /* ema, held ... in one formula: kept, journaled and copied with the object */
    FORMULA_EXTENSION_CALLS_MAX = 256, /* calls of Weir's own functions in one formula */
    FORMULA_ZONES_MAX = 16,            /* zones one evaluation may load by a computed name */
    FORMULA_CODE_MAX = 256 * 1024,     /* instructions; comparison chains within chains would double without end */
    FORMULA_BUDGET_MAX = 1000 * 1000,  /* expr-lang's memory budget (expr-language.md 7) */
    FORMULA_HEAP_MAX_BYTES = 64 * 1024 * 1024, /* of one evaluation, freed at its end */
    FORMULA_REGEX_MATCH_MAX =
        10 * 1000 * 1000, /* steps of one match, about 50 ms: linear in text x pattern, but both may be long */
    FORMULA_REGEX_SOURCE_MAX_BYTES = 16 * 1024, /* of a pattern: it may be made at run time, again and again */
    FORMULA_REGEX_SIZE_MAX = 100 * 1000, /* instructions, and ranges of classes, of a compiled pattern: under 2 MB */
    FORMULA_REGEX_DEPTH_MAX = 999,       /* groups in each other: Go's own bound on the height of a pattern */
    HISTORY_SPAN_MAX_MS = 7 * 24 * 3600 * 1000, /* the longest window a history function may name */
    HISTORY_SAMPLES_MAX = 4096,                 /* per trigger; longer windows are thinned evenly (series.h) */
    /* ---- what it would take, and what if ---- */
    OUTLOOK_FACTOR_MAX = 100 * 1000, /* times the present value: what is farther away will not come next */
    OUTLOOK_STEPS_MAX = 1100, /* of one trigger and direction: 48 steps outwards, 32 halvings for each of two edges,
                                        and each may wait eight times for something to end; 60 to 150 are usual */
    OUTLOOK_DECISIONS_MAX = 50 * 1000,          /* of one question: TRIGGERS_MAX with some 500 each */
    WHAT_IF_FORMULA_MAX_CHARACTERS = 32 * 1024, /* half of SERVER_REQUEST_MAX_BYTES; people write 900 at most */
    WHAT_IF_LATER_MAX_S = 365 * 24 * 3600,      /* a year ahead; nothing is waited for so long */
    /* ---- answers of sources ---- */
    HTTP_BODY_MAX_BYTES = 4 * 1024 * 1024, /* the largest /metrics page seen in the field is 2 MB */
    HTTP_HEADERS_MAX_BYTES = 64 * 1024,
    REQUEST_HEADERS_MAX_BYTES = 256 * 1024, /* of a question: no server takes more; tokens have some KB */
    REQUEST_BODY_MAX_BYTES = 1024 * 1024,   /* of a question made from parameters, of which a manifest holds no more */
    HTTP_REDIRECTS_MAX = 10,                /* Go's client, which KEDA uses */
    HTTP_TIMEOUT_MS = 3000,                 /* KEDA_HTTP_DEFAULT_TIMEOUT */
    HTTP_TIMEOUT_MAX_MS = 24 * 3600 * 1000, /* what is longer is cut to this: a place held for a day is lost anyway */
    STREAM_REPLY_MAX_BYTES = 1024 * 1024,
    STREAM_WRITE_MAX_BYTES =
        1024 * 1024,        /* written and not yet taken by the server; questions are a few hundred bytes */
    POLL_REQUESTS_MAX = 64, /* requests a single poll may have under way or make in a row */
    POLL_FANOUT_MAX = 1024, /* replicas one poll may ask: LOCAL_REPLICAS_MAX */
    POLL_MEMORY_MAX_BYTES =
        128 * 1024 * 1024, /* of all that a poll was answered and keeps until its end: one answer of TREE_NODES_MAX, or
                              POLL_REQUESTS_MAX pages of 2 MB at once */
    HTTP_URL_MAX_BYTES = 64 * 1024,     /* a long PromQL query; servers refuse more than about this */
    TRIGGER_NAME_MAX_BYTES = 4096,      /* of a metric's name: parts of it come from parameters */
    RETRY_AFTER_MAX_MS = 5 * 60 * 1000, /* how long a source may send us away: longer would be silence */
    REQUEST_STATUSES_MAX = 8,           /* likewise for one trigger of one object: 8 bytes each */
    HTTP_STATUSES_MAX = 16,             /* different ones counted apart for a trigger type: servers use under ten */
    LISTEN_RETRY_MIN_MS = 2 * 1000,     /* before a stream that ended is opened anew: KEDA's, doubled each time up to */
    LISTEN_RETRY_MAX_MS = 60 * 1000, /* this, with a quarter of jitter, so that a server that restarts is not stormed */
    LISTEN_MESSAGES_MAX = 10 * 1000, /* in a second, of one such stream: 5 ms; etcd writes as often at most */
    LISTEN_LOUD_STREAMS = 10,        /* of a namespace may say as much; more share that */
    LISTEN_MAX_BYTES = 8 * 1024 * 1024, /* likewise: two messages of HTTP_BODY_MAX_BYTES */
    LISTENING_MAX = 10 * 1000, /* streams kept open to sources that tell by themselves: 12 KB and a socket each */
    LISTENING_IN_NAMESPACE_MAX = 2500, /* a quarter, so that one namespace cannot take all */
    PUSH_LOOK_MS = 100,        /* between two polls of an object because a source spoke up: some push by the thousand */
    POLL_RETRIES_MAX = 1,      /* KEDA asks once more after rebuilding the scaler */
    POLLS_IN_FLIGHT_MAX = 512, /* file descriptors: well under the usual 1024 */
    POLLS_PER_DESTINATION_MAX = 128, /* a quarter, so that one hanging host cannot hold all */
    POLLS_PER_DESTINATION_USUAL =
        16, /* of HTTP/1.1, a connection each: Prometheus computes 20 at once. More only where one waits long
                                         (QUEUE_PATIENCE_SHARE), as servers do that take a second for each answer */
    QUEUE_PATIENCE_SHARE = 3, /* of its time, a third: what is left is still several times that of an answer */
    CONNECTIONS_KEPT_MAX =
        4, /* connections kept for one destination and credential: a poll takes milliseconds, a thousand
                                 objects at 30 s come 33 a second */
    CONNECTION_IDLE_MS = 120 * 1000, /* longer than KEDA's usual poll of 30 s, so that one is kept from poll to poll */
    CONNECTIONS_IDLE_MAX = 512, /* kept of all destinations while nobody asks: descriptors, as POLLS_IN_FLIGHT_MAX */
    SESSION_RETRY_MAX_MS =
        2000, /* between attempts at a server that is not there: soon seen when it is back, and no storm */
    WORKER_THREADS_MAX = 8,              /* for client libraries that block */
    WORKERS_PER_DESTINATION_MAX = 2,     /* a quarter, as above */
    WORKERS_PER_NAMESPACE_MAX = 6,       /* what a destination has is left to the others, whatever one of them asks */
    KAFKA_BROKERS_MAX_BYTES = 16 * 1024, /* of bootstrapServers: some 200 of them */
    KAFKA_TOPICS_MAX = 1000,             /* of one trigger: the first poll asks for each by itself */
    KAFKA_PARTITIONS_MAX = 100 * 1000,   /* of one trigger: 5 MB of answer; a cluster has at most some 200,000 */
    KAFKA_TOPICS_KEPT_MAX = 4096,        /* numbers of partitions known for one connection: some 100 bytes each */
    KAFKA_REPLY_MAX_BYTES = 16 * 1024 * 1024, /* of one answer: three times what KAFKA_PARTITIONS_MAX take */
    RESOLVER_THREADS_MAX = 4,                 /* names of byte streams looked up at once, each name once */
    HTTP_DEAD_CONNECTION_MS =
        30 * 1000,           /* what we sent is not acknowledged: many exchanges may share a connection that is
                                            gone, and without this the kernel would keep trying for a quarter of an hour */
    TLS_PROFILES_KEPT = 256, /* TLS identities kept parsed while nobody uses them: some KB each */
    /* ---- the server ---- */
    SERVER_CONNECTIONS_MAX = 384,
    SERVER_STREAMS_MAX = 256,              /* open dashboards; a third of the connections is left for others */
    SERVER_STREAM_MAX_BYTES = 1024 * 1024, /* that a client has not read yet: 1,500 changed rows, and 256 MiB of all */
    SERVER_STREAM_KERNEL_BYTES = 256 * 1024, /* that the kernel keeps for it beside: without a word from us some MB */
    SERVER_STREAM_STALL_S = 20,              /* of a client that takes nothing: a phone may be out of reach so long */
    SERVER_ANSWER_HEADERS_MAX = 16,          /* that a handler and its gate add; they need five */
    SERVER_REQUEST_MAX_BYTES = 64 * 1024,
    SERVER_REVIEW_MAX_BYTES = 3 * 1024 * 1024 + 64 * 1024, /* of a request over TLS: an AdmissionReview has an object of
                                                              1.5 MiB, etcd's bound, as it was and as it is to be */
    SERVER_LARGE_REQUESTS_MAX =
        16, /* above SERVER_REQUEST_MAX_BYTES and being read at once: 50 MiB, whoever sends them */
    SERVER_ANSWER_MAX_BYTES = 64 * 1024 * 1024, /* a list of all OBJECTS_MAX objects, 640 bytes each */
    SERVER_ROUTES_MAX = 256,
    CATALOGUE_SLICE = 512,             /* objects looked at in one turn for lists: two ms */
    CATALOGUE_IDLE_MS = 5 * 60 * 1000, /* then the catalogue is forgotten: 250 bytes an object, 1 KB with its row */
    STREAM_COALESCE_MS = 500,          /* changes of one object within that are one event */
    STREAM_ROWS_MAX = 200, /* of one flush, 150 KB to each client: ten thousand changes take half a minute */
    STREAM_OVERVIEW_MS = 5 * 1000,
    STREAM_COMMENT_MS = 15 * 1000, /* proxies close what is silent for 30 s or longer */
    OVERVIEW_SOURCES_MAX = 20,
    OVERVIEW_TALLIES_MAX = 500, /* namespaces: 25 KB, every few seconds to each dashboard */
    SERVER_IDLE_TIMEOUT_S = 60,
    SERVER_PATIENCE_MS = 3000,     /* with a connection that asks nothing, while all places are taken and others wait */
    METRICS_OBJECTS_PER_TURN = 64, /* shown in one turn while a page of metrics is made: half a ms */
    METRICS_BYTES_PER_TURN = 256 * 1024, /* the same where objects have many triggers */
    METRICS_WAITING_MAX = 16,            /* who get the same page; more get one of their own */
    METRICS_PAGES_MAX = 4,               /* under way at once, up to SERVER_ANSWER_MAX_BYTES each */
    SERVER_REFUSAL_MAX_BYTES = 4096,     /* why not, as JSON or as a page */
    TOKENS_MAX = 1000,                   /* lines of --token-file: more people than look after one Weir */
    TOKENS_FILE_MAX_BYTES = 1024 * 1024,
    TOKENS_LOOK_MS = 1000, /* how soon a token that was taken out lets in nobody: a stat */
    TOKEN_MIN_BYTES = 16,  /* shorter ones can be guessed */
    SESSIONS_MAX = 1024,   /* browsers logged in at once; one more, and the oldest has to log in again */
    SESSION_S = 12 * 3600, /* of one login: a working day */
    ACCESS_CACHE_MS =
        10 * 1000,            /* how long a review of the API server holds: KEDA's, so a right withdrawn ends as soon */
    ACCESS_CACHE_MAX = 4096,  /* users and what they may, 1 KB each; past it the oldest are asked for anew */
    ACCESS_WAITING_MAX = 512, /* requests waiting for a review: two servers' SERVER_CONNECTIONS_MAX */
    ACCESS_USER_MAX_BYTES = 32 * 1024,    /* name, groups and extra of one user, as they go into a review */
    ACCESS_TOKEN_MAX_BYTES = 16 * 1024,   /* a bearer token; service accounts' have 1 KB */
    ACCESS_CONFIG_MAX_BYTES = 512 * 1024, /* of the CAs the API server names; a ConfigMap holds 1 MiB */
    CERTIFICATE_MAX_BYTES = 256 * 1024,   /* a PEM file: a chain has under 10 KB, a bundle of CAs 200 */
    CERTIFICATE_NAMES_MAX = 32,           /* names in one certificate */
    ADMISSION_WARNINGS_MAX = 12,          /* kubectl prints each; the API drops what is beyond 4,096 characters */
    ADMISSION_WARNING_MAX_BYTES = 120,    /* what the API advises for one; beyond 256 it cuts itself */
    ADMISSION_PENDING_MAX = 512, /* reviews waiting for facts of the cluster; one on top is admitted with a warning */
    ADMISSION_PENDING_MAX_BYTES =
        64 * 1024 *
        1024, /* that they hold, read: 30 KB is usual, but anybody may post 3 MiB that become twenty times that */
    ADMISSION_WAIT_MS = 3000,   /* for those facts; the API server waits 10 s by default */
    ADMISSION_MATCHES_MAX = 16, /* autoscalers or objects on one target that are looked at: one is enough to refuse */
    ADMISSION_INDEX_MAX = 1000 * 1000, /* objects, and autoscalers, of a cluster that are known: 200 bytes each */
    ADMISSION_NAMESPACES_MAX = 1000,   /* with metrics of their own; those on top are counted together */
    /* ---- the running system ---- */
    RESOURCES_PER_TURN_MAX = 64, /* told by a cluster and applied in one turn: some ms, so that sockets stay quick */
    STATUS_USERS_MAX_BYTES =
        256 * 1024,              /* names in the status of one TriggerAuthentication: 10,000 objects may share one */
    DUE_PER_TURN_MAX = 32,       /* objects decided in one turn: a ms or two, and 7 KB each; sockets stay quick */
    OBJECTS_MAX = 100 * 1000,    /* of one process: some 400 MB; more is work for several */
    EGRESS_RULES_MAX = 1000,     /* each is looked at for each connection: some microseconds */
    EGRESS_RULE_MAX_BYTES = 512, /* a namespace and a name of a host, the longest there are, fit */
    EGRESS_LEARNED_MAX = 16,     /* addresses of the API server where it is known by name: a load balancer has a few */
    NAMESPACES_MAX = 256,        /* named one by one; each costs some watches: above that, watch all */
    REPLICAS_MAX = 1000 * 1000,  /* of one target; above that a manifest is a mistake */
    LOCAL_REPLICAS_MAX = 1024,   /* processes of one target on one machine */
    LOCAL_JOBS_MAX = 1024,       /* unfinished job processes of one ScaledJob on one machine */
    LOCAL_NAME_MAX_BYTES = 200,  /* a directory's name holds 255, with the kind in front */
    LOCAL_ARGUMENT_MAX_BYTES = 128 * 1024 - 1, /* the kernel's bound for one argument or variable (MAX_ARG_STRLEN) */
    LOCAL_ENVIRONMENT_MAX_BYTES = 1536 * 1024, /* below the kernel's 2 MiB for arguments and variables together */
    LOCAL_EVENTS_MAX_BYTES = 1024 * 1024,      /* of the local platform's event log, twice */
    DECISION_STEPS_MAX = 64,
    HPA_MOMENTS_MAX = 1024,  /* remembered wishes or scale writes: an hour's window polled each 3.5 s */
    DECISION_TRACE_MAX = 64, /* sub-expressions whose values a decision keeps */
    JOURNAL_AGE_MAX_S = 30 * 24 * 3600,
    JOURNAL_MAX_BYTES =
        384 * 1024 * 1024, /* 10,000 restless objects take 270 MB (journal/history.h); a pod's folder has 512 MiB */
    JOURNAL_LEAST_BYTES = 16 * 1024 * 1024, /* of --journal-max-bytes: below, nothing worth having is kept */
    HISTORY_DAYS = 30,
    HISTORY_POINTS_MAX = 1000,               /* of one answer: a screen is not wider */
    HISTORY_HOLD_MAX_MS = 2 * 3600 * 1000,   /* how long a moment counts where nothing came after it */
    HISTORY_READ_DAYS_MAX = 40,              /* of one question: what is kept, and the rest of its last span */
    HISTORY_EVENTS_MAX = 500,                /* scale events of one answer */
    HISTORY_EVENTS_SCANNED_MAX = 5000,       /* decisions looked at for them: some tens of ms */
    HISTORY_MANIFESTS_MAX = 10,              /* versions kept of one object */
    HISTORY_MANIFEST_MAX_BYTES = 128 * 1024, /* of one of them; the largest found in the field has 20 KB */
    LOG_LINE_MAX_BYTES = 16 * 1024,
    /* ---- what leaves by itself: OpenTelemetry ---- */
    EXPORT_TIMEOUT_MS = 10 * 1000, /* of a request; the default of OpenTelemetry's libraries */
    EXPORT_INTERVAL_MIN_MS = 100,  /* between collections of metrics: less is a mistake of units */
    EXPORT_BODY_MAX_BYTES =
        256 * 1024, /* of a request, unless a part is larger: packed in 2 ms; collectors take 20 MiB */
    EXPORT_PART_MAX_BYTES = 1024 * 1024, /* of one part: all metrics of one step, a decision of TRIGGERS_MAX triggers */
    EXPORT_ANSWER_MAX_BYTES = 64 * 1024, /* of an answer: a sentence, or somebody's error page */
    EXPORT_QUEUE_MAX = 100 * 1000,       /* parts that wait for one signal, whatever the environment says */
    EXPORT_QUEUE_MAX_BYTES = 32 * 1024 * 1024, /* of them: one collection of the metrics of 10,000 objects */
    EXPORT_KEYS_MAX_BYTES = 64 * 1024 * 1024,  /* keys of OBJECTS_MAX objects */
    EXPORT_OBJECTS_PER_STEP = 64,              /* whose metrics are collected in one go: a millisecond */
    EXPORT_NOTES_MAX = 4096,                   /* decisions noted and not yet told: what 128 turns decide */
    EXPORT_NOTES_PER_STEP = 64,                /* told in one go: some 30 us each */
    EXPORT_HEADERS_MAX = 32,                   /* of OTEL_EXPORTER_OTLP_HEADERS: a token or two are usual */
    EXPORT_ATTRIBUTES_MAX = 128,               /* of the resource: what OpenTelemetry's libraries keep */
    EXPORT_RESOURCE_MAX_BYTES = 64 * 1024,     /* encoded, and sent with each request */
    EXPORT_TRACE_WAIT_MS = 30 * 1000,          /* for the scale to be written: twice KUBE_TIMEOUT_MS */
    EXPORT_PAUSE_MIN_MS = 1000,                /* until something is tried again, doubling */
    EXPORT_PAUSE_MAX_MS = 30 * 1000,
    EXPORT_LAST_WORDS_MS = 3000, /* at the end; a pod has 30 s in all, and KEDA's 10 */
    /* ---- what leaves by itself: CloudEvents ---- */
    EVENT_SOURCES_MAX = 1000,       /* that are sent to: some receivers for all, or one each for many tenants */
    EVENT_QUEUE_MAX = 1024,         /* events waiting for one receiver: KEDA's bound for all */
    EVENT_SINKS_UNDER_WAY_MAX = 32, /* receivers tried at once: a socket each, and those that hang hold one for 10 s */
    EVENT_TIMEOUT_MS = 10 * 1000,   /* of one attempt */
    EVENT_PAUSE_MAX_MS = 60 * 1000, /* between two: soon enough after the receiver is back */
    EVENT_ATTEMPTS = 5,             /* answered with a failure, before others have their turn: KEDA's count */
    EVENT_MESSAGE_MAX_BYTES = 4096, /* of one event; Kubernetes keeps 1 kB */
    EVENT_HEADER_MAX_BYTES = 8192,  /* a name of 253 characters, escaped, four times */
    EVENT_BODY_MAX_BYTES = 32 * 1024, /* EVENT_MESSAGE_MAX_BYTES as JSON, each byte escaped */
    EVENT_NAMESPACES_MAX = 1000,      /* counted apart for one source; those on top are counted together */
    /* ---- recordings ---- */
    RECORDING_FILE_MAX_BYTES = 32 * 1024 * 1024,     /* compressed: some million ticks, read in seconds */
    RECORDING_FOLDER_MAX_BYTES = 1024 * 1024 * 1024, /* weeks of a hundred objects, a day of ten thousand */
    RECORDING_FILES_MAX = 100 * 1000, /* in one folder: one at each start, and nobody restarts so often */
    RECORDING_FLUSH_MS = 2000,        /* until the system has what was written: what a kill -9 may lose */
    RECORDING_RETRY_MS = 60 * 1000,   /* before a file is tried again, when the disk was full */
    RECORD_STEPS_MAX = 1000 * 1000,   /* that weir record asks for: 170 days at 15 s */
    RECORD_RANGE_STEPS = 10 * 1000,   /* of one question: Prometheus refuses more than 11,000 points of a series */
    RECORD_ATTEMPTS_MAX = 4,          /* of one question, the pauses between them doubling from a second */
    RECORD_TIMEOUT_MS = 60 * 1000,    /* of one question: a long span of a heavy query takes many seconds */
    RECORD_BODY_MAX_BYTES = 16 * 1024 * 1024, /* of one answer: RECORD_RANGE_STEPS points have 300 KB */
    /* ---- what is written into a cluster ---- */
    KUBE_PATCH_MAX_BYTES = 1024 * 1024, /* of one object that waits to be written: etcd's bound is 1.5 MiB */
    KUBE_STATUS_WRITES_MAX = 16,        /* under way at once: 1,000 in about a second, and the API server stays quick */
    JOB_CREATIONS_MAX = 16,        /* of one ScaledJob under way at once: half of KUBE_ASKS_MAX, others have work too */
    KUBE_EVENTS_MAX = 4,           /* under way at once: events are the least important that is written */
    KUBE_EVENTS_QUEUED_MAX = 4096, /* warnings of three minutes; what comes on top is dropped */
    KUBE_EVENT_SERIES_MAX = 8192,  /* kept to recognize what was said before: some 200 bytes each */
    KUBE_EVENT_NOTE_MAX_BYTES = 1023, /* the API's bound is 1 kB */
    SIGHTINGS_MAX = 100 * 1000,  /* counts of objects of a kind nobody looks at: OBJECTS_MAX, some 130 bytes each */
    KUBE_DATA_WATCHES_MAX = 256, /* Secrets and ConfigMaps watched, a connection each; those on top are asked for */
    KUBE_DATA_VALUES_MAX_BYTES = 4 * 1024 * 1024, /* of one Secret or ConfigMap; etcd's bound is 1.5 MiB */
    /* ---- the client of the Kubernetes API ---- */
    KUBE_ASKS_MAX = 32, /* requests under way at once, watches apart: a connection each; more only wait in the server */
    KUBE_QUEUE_MAX = 200 * 1000, /* requests waiting: two for each of OBJECTS_MAX, some 300 bytes each */
    KUBE_QUEUE_WAIT_MS =
        60 * 1000, /* of one request, before it goes out first: what is older was asked for another world */
    KUBE_TIMEOUT_MS = 15 * 1000, /* from when it goes out, attempts and pauses included; a slow API server takes 5 s */
    KUBE_BODY_MAX_BYTES = 8 * 1024 * 1024,   /* of an answer that is not streamed; one object has 1.5 MiB in etcd */
    KUBE_OBJECT_MAX_BYTES = 4 * 1024 * 1024, /* of one object in a list or a watch: twice etcd's bound, as JSON */
    KUBE_ENVELOPE_MAX_BYTES = 64 * 1024,     /* of a list apart from its items */
    KUBE_PATH_MAX_BYTES = 16 * 1024,         /* with its query; selectors of many values are long */
    KUBE_PAGE = 500,                         /* objects a page of a list: what kubectl and client-go ask for */
    KUBE_PAGES_MAX = 2000,                   /* of one list: a million objects; a server that never ends is ill */
    KUBE_LIST_TIMEOUT_MS = 60 * 1000,        /* of one page: the API server ends it after 60 s itself */
    KUBE_WATCH_MIN_S = 300,                  /* a watch ends after 5 to 10 minutes, not all at once */
    KUBE_WATCH_SPREAD_S = 300,
    KUBE_WATCH_SILENCE_MS =
        150 * 1000,            /* bookmarks come about every minute: after two and a half the connection is dead */
    KUBE_BACKOFF_MIN_MS = 800, /* client-go's: 0.8 s doubling to 30 s */
    KUBE_BACKOFF_MAX_MS = 30 * 1000,
    KUBE_AWAY_MS = 5 * 1000,        /* the same while nobody answers: to be back soon after the API server is */
    KUBE_STEADY_MS = 60 * 1000,     /* a watch that held so long makes the next pause short again */
    KUBE_PAUSE_MIN_MS = 100,        /* before a request is asked again, doubling */
    KUBE_PAUSE_MAX_MS = 5 * 1000,   /* unless Retry-After says more */
    KUBE_LOGIN_CHECK_MS = 1000,     /* files of tokens and certificates are looked at so often at most: a stat each */
    KUBE_LOGIN_RETRY_MS = 5 * 1000, /* an exec plugin that failed, or whose token is refused, is run again no sooner */
    KUBE_CONFIG_FILES_MAX = 64,     /* files in $KUBECONFIG */
    KUBE_TOKEN_MAX_BYTES = 64 * 1024,         /* a token, certificate, key or CA bundle has less */
    KUBE_CERTIFICATE_MAX_BYTES = 1024 * 1024, /* a CA bundle of a whole system has 250 KB */
    KUBE_EXEC_TIMEOUT_MS = 60 * 1000,         /* of a credential plugin: some ask a cloud for a token, then once more */
    KUBE_EXEC_OUTPUT_MAX_BYTES = 256 * 1024,  /* of a credential plugin: a token, a certificate and a key */
    KUBE_DISCOVERY_MS = 10 * 60 * 1000,       /* what resources a group has is asked again after this */
    KUBE_DISCOVERY_MISSING_MS = 30 * 1000,    /* and what it does not have after this: a CRD may have come */
    KUBE_DISCOVERY_GROUPS_MAX = 512, /* group versions remembered: manifests name them, so they could be without end */
    KUBE_DISCOVERY_WAITING_MAX = 200 * 1000, /* questions waiting for an answer: OBJECTS_MAX twice */
    LEASE_MARGIN_MS = 2000, /* between our last write and the end of our lease: clocks differ, the network delays */
    LEASE_DURATION_MAX_S = 3600, /* believed of a Lease that somebody else wrote */
    SHARDS_MEMBERS_MAX = 64,     /* of a group: each reads the Leases of all every two seconds */
    /* ---- the serving model ---- */
    SIM_TRACE_REQUESTS_MAX = 20 * 1000 * 1000, /* of one trace, 0.5 GB: busy days of a large service */
    SIM_STEPS_MAX = 2200 * 1000,               /* of the fluid model: a year in steps of 15 s, 250 bytes each */
    SIM_BOUND_STATES_MAX =
        8 * 1000 * 1000, /* replicas x work outstanding in the oracle's bound: 128 MB, and a second or two a price */
    SIM_BOUND_MISSES_MAX =
        64 * 1000 * 1000, /* steps x replicas in the bound of the fluid model, half a GB: two weeks of 790 replicas;
                                                 larger fleets count as that many, and the bound says less */
    SIM_DURATION_MAX_S = 400 * 24 * 3600, /* a start, or a goal: a year, far below what nanoseconds hold */
    SIM_TRACE_BUCKETS_MAX = 1000 * 1000,  /* sums of one trace: 19 years of 600 s, 11 days of 1 s */
    /* ---- tests of policies ---- */
    CASE_ITEMS_MAX = 1000,           /* tests in a file, expectations in a test ...: nobody reads more in one place */
    CASE_INVARIANT_MAX_BYTES = 1000, /* of a sentence */
    CASE_FAILURES_MAX = 16,          /* of one test that are shown: what comes after follows from them, mostly */
    CASE_DURATION_MAX_S = 400 * 24 * 3600, /* of one test: a year, which takes minutes */
    CASE_FOLDERS_MAX = 16,                 /* in each other, where test files are looked for */
    /* ---- inputs of simulations ---- */
    SIM_INPUT_VALUES_MAX = 20 * 1000 * 1000, /* of all columns, 0.5 GB: 20 triggers every second for 11 days */
    SIM_INPUT_COLUMNS_MAX = 1000,            /* ten objects with TRIGGERS_MAX triggers each */
    LINE_MAX_BYTES =
        64 * 1024 * 1024, /* of a file read by lines: an answer of query_range is one, and has 11,000 values a series */
    SIM_MOMENTS_MAX = 100 * 1000, /* of a simulation's output: more than a week has ticks of 15 s; 30 MB as JSON */
    /* ---- the page of simulate and compare ---- */
    SIM_REPORT_RUNS_MAX = 8,    /* side by side on one page: a chart with more lines tells nothing */
    SIM_REPORT_ROWS_MAX = 8192, /* of a run's grid of values: a week in rows of 128 s, twice what a screen has pixels */
    SIM_REPORT_EVENTS_MAX = 50000, /* scale events of a run: more than a week has ticks of 15 s */
    SIM_REPORT_RECORDS_MAX = 4096, /* decisions of a run with their steps, some 300 bytes each on the page */
    SIM_REPORT_MEASURES_MAX = 32,  /* of a run: the model has some ten */
    SIM_REPORT_LINES_MAX = 256,    /* facts and findings of a run, partings of a page: nobody reads more */
    SIM_REPORT_PAGE_MAX_BYTES =
        64 * 1024 * 1024, /* eight runs at all their bounds; a usual page has a tenth of one MB */
    /* ---- compare and tune ---- */
    SIM_COMPARE_MOVES_MAX = 1000 * 1000, /* of one run's replicas, 16 MB: a change every 15 s for half a year */
    SIM_COMPARE_WORDS_BYTES = 2000,      /* of a decision's one line, formulas included */
    TUNE_PARAMETERS_MAX = 32,            /* more than that a thousand candidates say nothing about */
    TUNE_CANDIDATES_MAX = 100 * 1000,    /* a day of the fastest simulations; sorting them all takes seconds */
    /* ---- what commands show ---- */
    EXPLAIN_ANSWER_MAX_BYTES = 64 * 1024 * 1024, /* of one answer: 1,000 decisions with TRIGGERS_MAX triggers */
    PAPER_MAX_BYTES = 4 * 1024 * 1024,           /* of a page in a terminal: 1,000 decisions with long formulas */
    TOP_ROWS_MAX = 500,                          /* of weir top's table: the highest terminals have some 200 */
};

#endif
