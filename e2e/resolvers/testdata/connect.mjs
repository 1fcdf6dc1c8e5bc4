// connect.mjs NAME PORT resolves by the c-ares of dns.resolve4 and dns.resolve6, which
// take names as they are given, and connects as Node.js does. See doc.go.
import dns from 'node:dns/promises'
import net from 'node:net'

const [name, port] = process.argv.slice(2)
const start = process.hrtime.bigint()

async function lookup(host, options, done) {
  const answers = await Promise.allSettled([dns.resolve6(host), dns.resolve4(host)])
  const all = answers.flatMap((a, i) => (a.value ?? []).map((address) => ({ address, family: i === 0 ? 6 : 4 })))
  if (all.length === 0) done(answers[1].reason)
  else if (options.all) done(null, all)
  else done(null, all[0].address, all[0].family)
}

const socket = net.connect({ host: name, port: Number(port), lookup })
socket.on('connect', () => {
  console.log(socket.remoteAddress, String((process.hrtime.bigint() - start) / 1000n))
  socket.destroy()
})
socket.on('error', (err) => {
  console.error(err.message)
  if (err.syscall === 'connect') process.exitCode = 1
  else console.log(err.code === 'ENOTFOUND' || err.code === 'ENODATA' ? 'none' : 'again')
})
