/**
 * The defaults of both built-in templates. Retries are for connections and time-outs, not for the application's own 500
 * or 503; only GET, HEAD and OPTIONS are replayed: every other method has its own backend over the same servers, and a
 * connection of its own, since one that the server closes at that moment (Node does after 5 s) would lose the request. So do
 * requests that become tunnels (WebSocket), of which nothing can be replayed. No `log` to stdout: whatever it would say of
 * servers HAProxy says on stderr anyway (2.6 to 3.2), and it would stand in our log twice.
 */
const HEAD = `# Written by Muster from its template. Changes made here are lost.
global
    stats socket {{settings.adminSocket}} mode 600 level admin
    stats timeout 30s
    stats maxconn 50
    maxconn {{settings.maxconn}}
    hard-stop-after 5m

defaults
    mode http
    option idle-close-on-response
    timeout client 60s
    timeout http-request 10s
    timeout http-keep-alive 30s
    timeout connect 250ms
    timeout server 30s
    timeout queue 5s
    timeout tunnel 1h
    timeout check 500ms
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response junk-response response-timeout

{{#if settings.statsBind}}
frontend muster-stats
    bind {{settings.statsBind}}
    stats enable
    stats uri /
    stats refresh 5s

{{/if}}
{{#each frontends}}
frontend {{name}}
    bind {{bind}}
    option forwardfor
    use_backend {{pool}}.unsafe unless METH_GET or { method HEAD OPTIONS }
    use_backend {{pool}}.unsafe if { req.hdr(upgrade) -m found }
    default_backend {{pool}}

{{/each}}
`

/** Settings of a pool's backend; `{{#each pools}}` is around it. */
const BACKEND = `
    balance {{balance}}
    timeout connect {{timeoutConnectMs}}ms
    timeout server {{timeoutServerMs}}ms
    timeout queue {{timeoutQueueMs}}ms
{{#if sticky}}
    cookie {{cookieName}} insert indirect nocache httponly dynamic
    dynamic-cookie-key {{cookieKey}}
{{/if}}
{{#if maxconn}}
    default-server maxconn {{maxconn}}
{{/if}}`

/**
 * The host whose cable is cut says nothing at all: what is sent to it on a kept connection, and what it was working on, is
 * given up after 5 s, long before `timeout server`, and replayed elsewhere. Not for unsafe methods: they may still run there.
 * `tcp-ut` is on each server line, since HAProxy ignores it on `default-server` without a word. Its price: a tunnel (WebSocket)
 * whose server reads nothing for 5 s while all buffers are full ends as well.
 */
const CHECKS = `
{{#if checkPath}}
    option httpchk
    http-check send meth GET uri {{checkPath}}{{#if checkHost}} ver HTTP/1.1 hdr Host {{checkHost}}{{/if}}
{{/if}}
    option srvtcpka
    srvtcpka-idle 3s
    srvtcpka-intvl 1s
    srvtcpka-cnt 2
    default-server inter {{checkIntervalMs}}ms fastinter {{checkFastMs}}ms downinter {{checkDownMs}}ms fall 2 rise 1
    default-server observe layer4 error-limit 3 on-error mark-down`

/** Numbered servers, taken and freed over the socket: a join costs no reload. */
export const SLOTS_TEMPLATE = `${HEAD}{{#each pools}}
backend {{name}}${BACKEND}${CHECKS}
{{#each slots}}
    server {{server}} {{address}} id {{id}} tcp-ut 5s check weight {{weight}}{{#if disabled}} disabled{{/if}}{{#if member}} # {{member}}{{/if}}
{{/each}}

backend {{name}}.unsafe${BACKEND}
    retry-on conn-failure
    option http-server-close
    http-reuse never
{{#each slots}}
    server {{server}} {{address}} id {{id}} track {{../name}}/{{server}} weight {{weight}}
{{/each}}

{{/each}}
`

/** One line per member under its own name, as one would write it by hand; a change of members is a hitless reload. */
export const NAMED_TEMPLATE = `${HEAD}{{#each pools}}
backend {{name}}${BACKEND}${CHECKS}
{{#each servers}}
    server {{server}} {{address}} id {{id}} tcp-ut 5s check weight {{weight}}{{#if disabled}} disabled{{/if}} # {{member}}
{{/each}}

backend {{name}}.unsafe${BACKEND}
    retry-on conn-failure
    option http-server-close
    http-reuse never
{{#each servers}}
    server {{server}} {{address}} id {{id}} track {{../name}}/{{server}} weight {{weight}}
{{/each}}

{{/each}}
`
