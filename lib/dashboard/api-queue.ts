/** The queue over HTTP: what managers decide about work that waits. Starting it goes over the websocket. */
import type { Place } from '../clients/wire.js'
import { callApi } from './api.js'

function pathOf({ organization, environment }: Place, id: string): string {
  const place = `/api/v1/organizations/${encodeURIComponent(organization)}/environments/${encodeURIComponent(environment)}`
  return `${place}/queue/${encodeURIComponent(id)}`
}

/** Gives an item to the member with this address, or to everybody. */
export async function assignQueueItem(place: Place, id: string, assignee: string | null): Promise<void> {
  await callApi('PATCH', pathOf(place, id), { assignee })
}

/** Throws an item away unstarted. */
export async function dismissQueueItem(place: Place, id: string): Promise<void> {
  await callApi('DELETE', pathOf(place, id))
}
