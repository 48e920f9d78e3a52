/**
 * Stands in for a screen that broke while it was drawn, until somebody goes elsewhere or loads the page again. Most often
 * nothing is broken: the server was updated, and the parts of the screen have other names by now.
 */
import { Component, type ReactNode } from 'react'
import { Entrance } from './entrance.js'

interface Props {
  /** The address: at another one, another screen is tried. */
  at: string
  children: ReactNode
}

export class BrokenScreen extends Component<Props, { error: unknown }> {
  override state: { error: unknown } = { error: null }

  static getDerivedStateFromError(error: unknown) {
    return { error: error ?? new Error('unknown') }
  }

  override componentDidUpdate(before: Props) {
    if (before.at !== this.props.at && this.state.error !== null) this.setState({ error: null })
  }

  override render() {
    const { error } = this.state
    if (error === null) return this.props.children
    const isMissing = isPartMissing(error)
    return (
      <Entrance
        title={isMissing ? 'This screen could not be loaded' : 'This screen is broken'}
        text={
          isMissing
            ? 'The server may have been updated, or the connection is gone. Load the page again to go on.'
            : 'That is our mistake. Loading the page again may help; what runs is not touched by it.'
        }
      >
        <button type="button" className="button primary" onClick={() => window.location.reload()}>
          Load again
        </button>
      </Entrance>
    )
  }
}

/** True when a part of the app that is loaded on demand did not come. The words are those of the browsers. */
export function isPartMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    /dynamically imported module|importing a module script|module script failed|preload CSS/i.test(
      error.message,
    )
  )
}
