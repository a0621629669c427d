// The site for the prover's own limit: answers every request with its id, every WebSocket message with itself. HOST, port 3000.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const sockets = new WebSocketServer({ noServer: true })
sockets.on('headers', headers => headers.push(`x-backend-ip: ${process.env.HOST}`))
sockets.on('connection', socket => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
createServer((request, answer) => {
  request.resume()
  answer.setHeader('x-backend-ip', process.env.HOST).end(new URL(request.url, 'http://x').searchParams.get('id'))
})
  .on('upgrade', (request, socket, rest) => {
    sockets.handleUpgrade(request, socket, rest, opened => sockets.emit('connection', opened, request))
  })
  .listen(3000, process.env.HOST)
