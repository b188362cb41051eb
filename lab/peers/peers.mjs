// One queue doing one thing, for `pgdial-lab peers`: node peers.mjs PEER WHAT JOBS
// DATABASE_URL or REDIS_SOCKET says where. Prints one line of JSON, which lab/src/peers/program.rs reads.
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const AT_ONCE = 30
const EVERY_MS = 20
const WARM_UP = 20

const version = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version
const job = (order) => ({ to: `+1${2000000000 + order}`, scriptId: 'welcome', metadata: { name: `Person ${order}`, order } })

async function graphileWorker(worker) {
  const { Logger, makeWorkerUtils, run } = await import('graphile-worker')
  const place = {
    connectionString: process.env.DATABASE_URL,
    maxPoolSize: AT_ONCE + 2,
    logger: new Logger(() => () => {}),
  }
  const utils = await makeWorkerUtils(place)
  await utils.migrate()
  const one = (sql) => utils.withPgClient(async (client) => (await client.query(sql)).rows[0])
  return {
    with: `graphile-worker ${version('graphile-worker')}, Node.js ${process.versions.node}`,
    settings: await one(
      `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous_commit`,
    ),
    add: (order) => utils.addJob('call', job(order)),
    addMany: (orders) => utils.addJobs(orders.map((order) => ({ identifier: 'call', payload: job(order) }))),
    settle: () => one('vacuum (analyze) graphile_worker._private_jobs'),
    left: async () => (await one('select count(*)::int as n from graphile_worker._private_jobs')).n,
    async start(handler) {
      const task = async (payload) => handler(payload.metadata.order)
      const runner = await run({
        ...place, preset: { worker }, concurrency: AT_ONCE, noHandleSignals: true, taskList: { call: task },
      })
      return () => runner.stop()
    },
    close: () => utils.release(),
  }
}

async function bullmq() {
  const { Queue, Worker } = await import('bullmq')
  const { Redis } = await import('ioredis')
  const connect = () => new Redis(process.env.REDIS_SOCKET, { maxRetriesPerRequest: null })
  const redis = connect()
  const queue = new Queue('calls', { connection: redis })
  await queue.waitUntilReady()
  const setting = async (name) => (await redis.config('GET', name))[1]
  const server = /redis_version:(\S+)/.exec(await redis.info('server'))[1]
  return {
    with: `BullMQ ${version('bullmq')}, Redis ${server}, Node.js ${process.versions.node}`,
    settings: { appendonly: await setting('appendonly'), appendfsync: await setting('appendfsync') },
    add: (order) => queue.add('call', job(order)),
    addMany: (orders) => queue.addBulk(orders.map((order) => ({ name: 'call', data: job(order) }))),
    settle: async () => {},
    left: async () => {
      const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'failed')
      return Object.values(counts).reduce((all, some) => all + some, 0)
    },
    async start(handler) {
      const connection = connect()
      const worker = new Worker('calls', async ({ data }) => handler(data.metadata.order), { connection, concurrency: AT_ONCE })
      await worker.waitUntilReady()
      return async () => {
        await worker.close()
        connection.disconnect()
      }
    },
    async close() {
      await queue.close()
      redis.disconnect()
    },
  }
}

const peers = {
  bullmq,
  'graphile-worker': () => graphileWorker({}),
  'graphile-worker-batched': () => graphileWorker({ localQueue: { size: 500 }, completeJobBatchDelay: 0 }),
}

// The rate is that of the jobs that are stored.
async function enqueue(peer, jobs) {
  let next = 0
  const caller = async (to) => {
    while (next < to) await peer.add(next++)
  }
  const callers = (to) => Promise.all(Array.from({ length: AT_ONCE }, () => caller(to)))
  await callers(Math.ceil(jobs / 10))
  const [before, began] = [next, performance.now()]
  await callers(before + jobs)
  const seconds = (performance.now() - began) / 1000
  return { seconds, done: (await peer.left()) - before }
}

// From the start of the worker until nothing is left in the store.
async function drain(peer, jobs) {
  for (let from = 0; from < jobs; from += 1000) {
    await peer.addMany(Array.from({ length: Math.min(1000, jobs - from) }, (_, nth) => from + nth))
  }
  await peer.settle()
  const seen = new Set()
  const began = performance.now()
  const stop = await peer.start((order) => seen.add(order))
  while (seen.size < jobs) await sleep(5)
  while ((await peer.left()) > 0) await sleep(5)
  const seconds = (performance.now() - began) / 1000
  await stop()
  return { seconds, done: seen.size }
}

// One job every 20 ms, on an idle system.
async function pickup(peer, jobs) {
  const started = new Map()
  const times = []
  const stop = await peer.start((order) => started.set(order, performance.now()))
  await sleep(500)
  for (let order = 0; order < WARM_UP + jobs; order++) {
    const next = sleep(EVERY_MS)
    const sent = performance.now()
    await peer.add(order)
    times.push({ order, sent, answered: performance.now() })
    await next
  }
  while (started.size < times.length) await sleep(5)
  while ((await peer.left()) > 0) await sleep(5)
  await stop()
  const since = (from) => times.slice(WARM_UP).map((time) => Math.max(0, started.get(time.order) - time[from]))
  return { fromRequest: since('sent'), fromAnswer: since('answered'), done: started.size - WARM_UP }
}

const [name, what, jobs] = process.argv.slice(2)
const peer = await peers[name]()
const figures = await { enqueue, drain, pickup }[what](peer, Number(jobs))
console.log(JSON.stringify({ with: peer.with, settings: peer.settings, ...figures }))
await peer.close()
