// The servers behind the balancers: one on each address of HOST, which answers every request with that address.
import { createServer } from 'node:http'

for (const ip of process.env.HOST.split(',')) createServer((_, answer) => answer.end(ip)).listen(3000, ip)
