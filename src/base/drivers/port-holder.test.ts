import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { portHolder } from './port-holder.ts'

test('who listens on a port is found, and nobody once it is closed', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const ip of ['127.0.0.1', '0.0.0.0'])
    expect(portHolder({ ip, port })).toMatch(new RegExp(`\\(pid ${process.pid}\\)$`))
  expect(portHolder({ ip: '127.0.0.2', port })).toBeUndefined()
  server.close()
  await once(server, 'close')
  expect(portHolder({ ip: '127.0.0.1', port })).toBeUndefined()
})
