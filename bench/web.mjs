// The server behind the balancers: answers every request with its address, HOST.
import { createServer } from 'node:http'

const ip = process.env.HOST
createServer((_, answer) => answer.end(ip)).listen(3000, ip)
