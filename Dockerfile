# Two stages: one builds with all dependencies, the other carries only what a node needs.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY lib/vendor lib/vendor
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY bin bin
COPY conf conf
COPY lib lib
COPY test test
RUN node bin/build.mjs \
 && npm prune --omit=dev --no-audit --no-fund \
 && rm -rf dist/test dist/.tsbuildinfo

FROM node:20-bookworm-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    STORAGE__PATH=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/bin bin
COPY --from=build /app/conf conf
COPY --from=build /app/lib lib
COPY --from=build /app/dist dist
COPY LICENSE CHANGELOG.md ./
RUN ln -s /app/bin/interval-server /usr/local/bin/interval-server \
 && mkdir /data && chown node:node /data && chmod 700 /data
USER node
VOLUME /data
EXPOSE 3000 3455
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health/live`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/app/bin/interval-server"]
CMD ["run"]
