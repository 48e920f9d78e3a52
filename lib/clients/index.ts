export { Clients, type ClientsOptions } from './clients.js'
