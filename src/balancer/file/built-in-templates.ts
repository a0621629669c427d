/**
 * The parts of both built-in templates. Retries are for connections and time-outs, not for the application's own 500
 * or 503; only GET, HEAD and OPTIONS are replayed: every other method has its own backend over the same servers, and a
 * connection of its own, since one that the server closes at that moment (Node does after 5 s) would lose the request. So do
 * requests that become tunnels (WebSocket), of which nothing can be replayed. No `log` to stdout: whatever it would say of
 * servers HAProxy says on stderr anyway (2.6 to 3.2), and it would stand in our log twice.
 *
 * Each pool's last server line is the door, a listener of the agent that answers 425 as soon as a server lives, so that HAProxy
 * sends the request again. `non-stick` keeps it out of stick tables, its `maxconn` lets `be_conn_free` tell that nothing else
 * lives: then a request's body is waited for first, since HAProxy repeats only what was whole in its buffer at once. What cannot
 * be repeated gets a 503, never the 425, and keeps its cookie. Who closes while it waits is forgotten: `abortonclose`, in
 * the defaults, since frontends do not take it and do not see the close without it.
 *
 * `x-muster-door` tells the door which process a request waits in: what waits in one that a reload has left behind, whose servers
 * stay as they were, the door passes on itself. Of its answers only HAProxy's sticky cookie for the door is taken out; where the
 * application sets cookies an empty `set-cookie` is left in its place, since no rule deletes one header of several.
 */
const HEAD = `# Written by Muster from its template. Changes made here are lost.
global
    stats socket {{settings.adminSocket}} mode 600 level admin
    stats timeout 30s
    stats maxconn 50
    maxconn {{settings.maxconn}}
    hard-stop-after {{settings.oldWorkerMs}}ms
{{#if settings.peersSocket}}
    localpeer muster

peers muster
    bind unix@{{settings.peersSocket}} mode 600
    server muster
{{/if}}

defaults
    mode http
    option idle-close-on-response
    option abortonclose
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
{{#unless tcp}}
frontend {{name}}
    bind {{bind}}
    option forwardfor
{{#if redirectToHttps}}
    http-request redirect location https://%[req.hdr(host),host_only]{{httpsPort}}%[capture.req.uri] code 308 unless { ssl_fc }
{{/if}}
{{#if tls}}
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
{{/if}}
{{#if routes}}
    acl once method GET HEAD OPTIONS
    acl tunnel req.hdr(upgrade) -m found
{{/if}}
{{#each routes}}
{{#each hosts}}
    acl {{../id}}.host req.hdr(host),host_only -i -m {{match}} {{value}}
{{/each}}
{{#if path}}
    acl {{id}}.path path -m str {{path}}
    acl {{id}}.path path -m beg {{path}}/
{{/if}}
    use_backend {{pool}}.unsafe if {{condition}} !once or {{condition}} tunnel
    use_backend {{pool}} if {{condition}}
{{/each}}
{{#if pool}}
    use_backend {{pool}}.unsafe unless METH_GET or { method HEAD OPTIONS }
    use_backend {{pool}}.unsafe if { req.hdr(upgrade) -m found }
    default_backend {{pool}}
{{/if}}

{{/unless}}
{{/each}}
`

/** Settings of a pool's backend; `{{#each pools}}` is around it. */
const BACKEND = `
    balance {{balance}}
    timeout connect {{timeoutConnectMs}}ms
    timeout server {{timeoutServerMs}}ms
    timeout queue {{timeoutQueueMs}}ms
    retries {{retries}}
{{#if sticky}}
    cookie {{cookieName}} insert indirect nocache httponly dynamic
    dynamic-cookie-key {{cookieKey}}
{{/if}}
{{#if maxconn}}
    default-server maxconn {{maxconn}}
{{/if}}
{{#if maxqueue}}
    default-server maxqueue {{maxqueue}}
{{/if}}
{{#if slowStartMs}}
    default-server slowstart {{slowStartMs}}ms
{{/if}}`

/** One table for both backends of a pool: `stick on` finds the server by its name, which is the same in both. */
const TABLE = `
{{#if stickOn}}
    stick-table type {{stickType}} size 100k expire 30m peers muster
    stick on {{stickOn}}
{{/if}}`

/**
 * The host whose cable is cut says nothing at all: what is sent to it on a kept connection, and what it was working on, is
 * given up after 5 s, long before `timeout server`, and replayed elsewhere. Not for unsafe methods: they may still run there.
 * `tcp-ut` is on each server line, since HAProxy ignores it on `default-server` without a word. Its price: a tunnel (WebSocket)
 * whose server reads nothing for 5 s while all buffers are full ends as well; a TCP pool's connections are all tunnels, so they
 * have none of it.
 */
const CHECKS = `
{{#if checkPath}}
    option httpchk
    http-check send meth GET uri {{checkPath}}{{#if checkHost}} ver HTTP/1.1 hdr Host {{checkHost}}{{/if}}
{{#if checkExpect}}
    http-check expect status {{checkExpect}}
{{/if}}
{{/if}}
    timeout check {{checkTimeoutMs}}ms
    option srvtcpka
    srvtcpka-idle 3s
    srvtcpka-intvl 1s
    srvtcpka-cnt 2
    default-server inter {{checkIntervalMs}}ms fastinter {{checkFastMs}}ms downinter {{checkDownMs}}ms fall {{checkFall}} rise {{checkRise}}{{#if checkPort}} port {{checkPort}}{{/if}}
    default-server observe layer4 error-limit 3 on-error mark-down`

/** How many connections the door says to have room for; no pool of servers has as many. */
const DOOR_ROOM = 2_000_000_000

const HOLD = `
{{#if door}}
    http-request wait-for-body time {{holdMs}}ms if { be_conn_free ge ${DOOR_ROOM / 2} }
    http-request del-header x-muster-door
    http-request set-header x-muster-door %pid if { be_conn_free ge ${DOOR_ROOM / 2} }
    http-response return status 503 hdr Retry-After 1 content-type text/plain string "No server is available.\\n" if { status 425 } { srv_name door }
{{#if sticky}}
    http-after-response del-header set-cookie if { srv_name door } { res.fhdr_cnt(set-cookie) eq 1 } { res.fhdr(set-cookie) -m beg {{cookieName}}= }
    http-after-response replace-header set-cookie ^{{cookieName}}=.* %[var(txn.nothing)] if { srv_name door }
{{/if}}
{{/if}}`

const DOOR = `
{{#if door}}
    server door unix@{{door}} id 99 maxconn ${DOOR_ROOM} backup non-stick
{{/if}}`

const ONCE = `
{{#if retryOnUnsafe}}
    retry-on {{retryOnUnsafe}}
{{/if}}
    option http-server-close
    http-reuse never
{{#if stickOn}}
    stick on {{stickOn}} table {{name}}
{{/if}}`

/** Which try of its request this is, from 0, times a number of the request's own. */
const TRY = 'var(txn.muster_try,-1),add(1),set-var(txn.muster_try),mul(txn.muster_own)'

/**
 * A server that dies closes its idle connections one after the other, for milliseconds, and longer where the machine is busy. HAProxy
 * repeats a request at once when a kept connection broke under it, on the next of them: up to all of its tries in 4 ms, and then it
 * closes in silence or says 502. So only a first try takes a kept connection: connections are told apart by a name, here 0 for each
 * first try, and for each further one a number of its own. Before 3.2 that name is that of `sni`, which no TLS would send here;
 * 3.2 takes no notice of it without TLS. With TLS or the PROXY protocol the name or the header is needed as it is.
 */
const REPLAYED = `
{{#if retryOn}}
    retry-on {{retryOn}}
{{/if}}
{{#unless serverOptions}}
    http-request set-var(txn.muster_own) rand
.if version_atleast(3.2)
    default-server pool-conn-name ${TRY}
.else
    default-server sni ${TRY}
.endif
{{/unless}}`

const TCP_DEFAULTS = `
defaults tcp
    mode tcp
    timeout client 1h
    timeout connect 250ms
    timeout server 1h
    timeout queue 5s
    timeout check 500ms
    retries 3
    option redispatch 1

{{#each frontends}}
{{#if tcp}}
frontend {{name}}
    bind {{bind}}
    timeout client {{timeoutClientMs}}ms
    default_backend {{pool}}

{{/if}}
{{/each}}`

/** @param list `slots` or `servers`. @param comment names who is in a slot, for the next agent */
function templateOf(list: string, comment: string): string {
  const checked = `{{../serverOptions}} check weight {{weight}}{{#if disabled}} disabled{{/if}}${comment}`
  return `${HEAD}{{#each pools}}
{{#unless tcp}}
backend {{name}}${BACKEND}${REPLAYED}${TABLE}${CHECKS}${HOLD}
{{#each ${list}}}
    server {{server}} {{address}} id {{id}} tcp-ut 5s${checked}
{{/each}}${DOOR}

backend {{name}}.unsafe${BACKEND}${ONCE}${HOLD}
{{#each ${list}}}
    server {{server}} {{address}} id {{id}}{{../serverOptions}} track {{../name}}/{{server}} weight {{weight}}
{{/each}}${DOOR}

{{/unless}}
{{/each}}
{{#if settings.tcp}}${TCP_DEFAULTS}
{{#each pools}}
{{#if tcp}}
backend {{name}}${BACKEND}${TABLE}${CHECKS}
{{#each ${list}}}
    server {{server}} {{address}} id {{id}}${checked}
{{/each}}

{{/if}}
{{/each}}
{{/if}}
`
}

/** Numbered servers, taken and freed over the socket: a join costs no reload. */
export const SLOTS_TEMPLATE = templateOf('slots', '{{#if member}} # {{member}}{{/if}}')

/** One line per member under its own name, as one would write it by hand; a change of members is a hitless reload. */
export const NAMED_TEMPLATE = templateOf('servers', ' # {{member}}')
