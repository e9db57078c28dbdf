# Build with docker build . or make image. docs/INSTALL.md says how to run it, and how to choose
# other base images with --build-arg.
ARG BUILD_IMAGE=docker.io/library/golang:1.26
ARG RUNTIME_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown REVISION=unknown BRANCH=unknown DATE=unknown TARGETOS TARGETARCH
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH} make build

# The image contains only the exporter: no shell, and no other program that it could be made to
# run. A reaper with guards (`run` steps) needs a RUNTIME_IMAGE that contains their programs.
FROM ${RUNTIME_IMAGE}
ARG VERSION=unknown REVISION=unknown DATE=unknown
LABEL org.opencontainers.image.title="closewait_exporter" \
      org.opencontainers.image.description="Prometheus exporter of sockets stuck in CLOSE_WAIT, per process" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${DATE}"
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /src/closewait_exporter /closewait_exporter
EXPOSE 10052
# No USER: Docker and Kubernetes grant added capabilities to root only. Podman grants them to any
# --user.
ENTRYPOINT ["/closewait_exporter"]
