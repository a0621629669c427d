import type { Server } from 'node:http'
import { WebSocketServer } from 'ws'

/** Longest message that is sent back. */
const MESSAGE_BYTES_MAX = 16 * 1024

/** A WebSocket at `/ws` that sends back whatever it is sent, and says at the opening who answers. */
export function addEcho(server: Server, identity: { readonly ip: string; readonly host: string }): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX })
  sockets.on('headers', headers => headers.push(`x-backend-ip: ${identity.ip}`, `x-backend-name: ${identity.host}`))
  sockets.on('connection', socket => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    socket.on('error', () => socket.terminate()) // nonsense, or too long
  })
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    if (request.url?.split('?')[0] === '/ws') {
      sockets.handleUpgrade(request, socket, head, opened => sockets.emit('connection', opened, request))
    } else socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  })
}
