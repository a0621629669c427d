/** What a user's template may have of its own. Lines have no end, and none may be several, joined by line ends. */
export interface ClassicTemplate {
  /** What follows `bind`: `127.0.0.1:8080`, `:443 ssl crt /etc/site.pem`. */
  readonly bind: string
  readonly defaults?: string
  readonly frontend?: string
  /** A line of each pool's backend. */
  readonly backend?: string
  /** All backends, as the template writes them; default: each pool, with the servers that it has now. */
  readonly backends?: string
}

/** The template of a user who knows HAProxy and not ours: servers by name, no slots. Its frontend is `www`, its pool `web`. */
export function classicTemplate(o: ClassicTemplate): string {
  const { bind, defaults = '', frontend = '', backend = '' } = o
  return `global
  stats socket {{settings.adminSocket}} mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 9s
  timeout server 9s
  ${defaults}
frontend www
  bind ${bind}
  ${frontend}
  default_backend web
${o.backends ?? eachPool(backend)}`
}

function eachPool(backend: string): string {
  return `{{#each pools}}
backend {{name}}
  ${backend}
  {{#each servers}}
  server {{server}} {{address}} check weight {{weight}}
  {{/each}}
{{/each}}
`
}
