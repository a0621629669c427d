/**
 * A template that a careful user owns: numbered servers, so that members come and go without a reload, retries where they are safe,
 * a backend of its own for what must not be sent twice. Each answer names its generation, so that one sees from outside which template is in force.
 */
export function siteTemplate(generation: number): string {
  return `global
    stats socket {{settings.adminSocket}} mode 600 level admin
    maxconn {{settings.maxconn}}
    hard-stop-after 1h

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

frontend muster-stats
    bind {{settings.statsBind}}
    stats enable
    stats uri /

{{#each frontends}}
frontend {{name}}
    bind {{bind}}
    http-response set-header x-generation ${generation}
    use_backend {{pool}}.unsafe unless METH_GET or { method HEAD OPTIONS }
    use_backend {{pool}}.unsafe if { req.hdr(upgrade) -m found }
    default_backend {{pool}}

{{/each}}
{{#each pools}}
backend {{name}}
    balance leastconn
    option httpchk
    http-check send meth GET uri {{checkPath}}
    option srvtcpka
    default-server inter {{checkIntervalMs}}ms fastinter {{checkFastMs}}ms downinter {{checkDownMs}}ms fall 2 rise 1
    default-server observe layer4 error-limit 3 on-error mark-down
{{#each slots}}
    server {{server}} {{address}} id {{id}} tcp-ut 5s check weight {{weight}}{{#if disabled}} disabled{{/if}}
{{/each}}

backend {{name}}.unsafe
    balance leastconn
    retry-on conn-failure
    option http-server-close
    http-reuse never
{{#each slots}}
    server {{server}} {{address}} id {{id}} track {{../name}}/{{server}} weight {{weight}}
{{/each}}

{{/each}}
`
}
