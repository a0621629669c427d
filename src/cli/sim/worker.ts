/** One of the processes of `npm run sim`: a seed comes in, its outcome goes out, until nobody asks any more. */
import { swarm } from '../../simulator/index.ts'

const members = Number(process.argv[2])
const core = process.argv[3] === 'serf' ? 'serf' : 'memberlist'
const parent = process.ppid

process.on('SIGINT', () => undefined) // Ctrl-C reaches the whole group; whoever started us sums up, and ends us
process.on('disconnect', () => process.exit())
process.on('message', seed => {
  const outcome = swarm({ members, core, seed: Number(seed) }, () => {
    if (process.ppid !== parent) process.exit() // a ring takes minutes, during which nothing else would tell us
  })
  process.send?.(outcome)
})
