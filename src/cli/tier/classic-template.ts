/**
 * A template as people write it by hand for Serf and a handler: no retry settings, so that `status` has something to say
 * and kills cost requests. The idle-close option is there because joins are reloads with it, and a reload would cut idle
 * keep-alive connections.
 */
export function classicTemplate(o: { site: string; stats: string; webPort: number }): string {
  return `global
  maxconn 4000

defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  option idle-close-on-response

frontend http
  bind ${o.site}
  default_backend web

listen stats
  bind ${o.stats}
  stats enable
  stats uri /

backend web
  balance roundrobin
{{#each addresses}}
  server {{ host }} {{ ip }}:${o.webPort} check
{{/each}}
`
}
