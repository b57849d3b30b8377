# PostgreSQL with occ_lock, from this directory:
#
#   docker build -t postgres-occ_lock .                               (--build-arg PG_MAJOR=18 for another version)
#   docker run -e POSTGRES_PASSWORD=... postgres-occ_lock
#
# then CREATE EXTENSION occ_lock in the databases that shall have it.
ARG PG_MAJOR=17

FROM postgres:${PG_MAJOR}-bookworm AS build
ARG PG_MAJOR
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make "postgresql-server-dev-${PG_MAJOR}"
COPY Makefile occ_lock.control occ_lock--*.sql /occ_lock/
COPY src /occ_lock/src
# Bitcode, for inlining by JIT, would take clang, and the image has no JIT to start with.
RUN make -C /occ_lock with_llvm=no && make -C /occ_lock install with_llvm=no DESTDIR=/out

FROM postgres:${PG_MAJOR}-bookworm
COPY --from=build /out /
