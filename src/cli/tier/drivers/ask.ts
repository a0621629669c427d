import { request } from 'node:http'

export interface SiteAnswer {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

const ANSWER_MS_MAX = 5000

/** One GET over a connection of its own: a kept one would keep an old HAProxy worker alive. */
export function ask(url: string, signal?: AbortSignal): Promise<SiteAnswer> {
  return new Promise((resolve, reject) => {
    const ending = signal === undefined ? {} : { signal }
    const asked = request(url, { agent: false, timeout: ANSWER_MS_MAX, ...ending }, answer => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        body += text
      })
      answer.on('error', reject)
      answer.on('end', () => resolve({ headers: answer.headers, body }))
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
    asked.on('error', reject)
    asked.end()
  })
}
