// couchdb_peer.js PORT USER PASSWORD LOG: PouchDB's server in memory, with what CouchDB does and it does not: a login, and 25 documents
// at most where the query names no limit. CouchDB itself cannot be had as a package.
const express = require('express')
const PouchDB = require('pouchdb').defaults({ adapter: 'memory' })
PouchDB.plugin(require('pouchdb-adapter-memory'))
const [port, user, password, log] = process.argv.slice(2)
const login = 'Basic ' + Buffer.from(`${user}:${password}`).toString('base64')
const app = express()

app.use((request, answer, next) => {
  if (request.headers.authorization === login || request.path === '/_up') return next()
  answer.status(401).json({ error: 'unauthorized', reason: 'Name or password is incorrect.' })
})
app.get('/_up', (request, answer) => answer.json({ status: 'ok' }))
app.post('/:db/_find', express.json(), (request, answer, next) => {
  if (request.body.limit === undefined) request.body.limit = 25
  delete request.headers.authorization // it would be looked up among its own users
  next()
})
app.use((request, answer, next) => { delete request.headers.authorization; next() })
app.use('/', require('express-pouchdb')(PouchDB, { mode: 'fullCouchDB', inMemoryConfig: true, logPath: log }))
app.listen(+port, '127.0.0.1')
