# A small image of Weir: the program, the shared libraries it needs, authorities and time zones; no shell, no packages, not root.
#
#   docker build -t weir:0.1.0 .
#
# The first stage needs Debian's mirror, nothing else from outside.
FROM debian:bookworm AS build
WORKDIR /weir
COPY tools/deps tools/deps
RUN tools/deps build
COPY . .
RUN meson setup /build --buildtype=release --prefix=/usr -Dtests=false && ninja -C /build weir
RUN tools/make-image-root /build/weir /image

FROM scratch
COPY --from=build /image /
# Where `weir get` and `weir explain` look for the running Weir: /var/lib/weir.
ENV XDG_STATE_HOME=/var/lib
USER 65532:65532
EXPOSE 8080 6443 9443
ENTRYPOINT ["/usr/bin/weir"]
CMD ["run", "--kubernetes"]
