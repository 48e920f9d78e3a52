/** Where a window ends in which somebody proved once more who they are, at the provider of their organization. */
import { useEffect } from 'react'
import { proofChannel } from '../api-sign-on.js'
import { Entrance } from '../components/entrance.js'

export default function IdentityProvenScreen({ isProven }: { isProven: boolean }) {
  useEffect(() => {
    if (!isProven) return
    const channel = new BroadcastChannel(proofChannel)
    channel.postMessage('proven')
    channel.close()
    // Only a window that a script or a link opened may close itself.
    window.close()
  }, [isProven])
  return isProven ? (
    <Entrance title="You proved who you are" text="Close this window and go on where you were." />
  ) : (
    <Entrance
      title="Nothing was confirmed"
      text="The provider could not confirm that it is you, or you signed in there as somebody else. Close this window and try again."
    />
  )
}
