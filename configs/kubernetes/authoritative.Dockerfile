# An image of authoritative alone, for the server, the monitor and the prober. From the root
# of the project, after `make build`, which makes static binaries:
# docker build -f configs/kubernetes/authoritative.Dockerfile bin
FROM scratch
COPY authoritative /authoritative
ENTRYPOINT ["/authoritative"]
CMD ["serve"]
