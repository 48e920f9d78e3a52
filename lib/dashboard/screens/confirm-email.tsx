/** Proving an address: with the link from a mail, or, without one, what to wait for. */
import { useEffect, useRef, useState } from 'react'
import { useSearchParams } from 'react-router'
import type { Session } from '../api.js'
import { accountApi } from '../api-account.js'
import { AppLink } from '../components/app-link.js'
import { Entrance } from '../components/entrance.js'
import { Banner, Loading, Problem } from '../components/notice.js'
import { useSubmission } from '../components/submission.js'
import { consoleEnvironment, listHref } from '../links.js'

export default function ConfirmEmailScreen({ session }: { session: Session }) {
  const [query] = useSearchParams()
  const seal = query.get('seal')
  const [state, setState] = useState<'asking' | 'expired' | 'refused' | 'waiting'>(
    seal === null ? 'waiting' : 'asking',
  )
  const [why, setWhy] = useState('')
  const asked = useRef<string | null>(null)
  const organization = session.organizations[0]?.slug
  const home =
    organization === undefined ? '/account' : listHref({ organization, environment: consoleEnvironment })

  useEffect(() => {
    if (seal === null || asked.current === seal) return
    asked.current = seal
    accountApi.confirmEmail(seal).then(
      // A full load: everything is told anew who this is.
      status => (status === 'confirmed' ? window.location.replace(home) : setState('expired')),
      (error: Error) => {
        setWhy(error.message)
        setState('refused')
      },
    )
  }, [seal, home])

  if (state === 'asking') return <Loading />
  if (state === 'expired') {
    return (
      <Entrance title="This link was too old" text="We sent a new link to your email address.">
        <Onward home={home} />
      </Entrance>
    )
  }
  if (state === 'refused') {
    return (
      <Entrance title="This link does not work" text={why}>
        {!session.user.emailConfirmed && <SendAgain />}
        <Onward home={home} />
      </Entrance>
    )
  }
  if (session.user.emailConfirmed) {
    return (
      <Entrance title="Your address is confirmed" text={session.user.email}>
        <Onward home={home} />
      </Entrance>
    )
  }
  return (
    <Entrance
      title="Confirm your address"
      text={`We sent a link to ${session.user.email}. Follow it in this browser.`}
    >
      <SendAgain />
      <Onward home={home} />
    </Entrance>
  )
}

function SendAgain() {
  const submission = useSubmission()
  const [isSent, setSent] = useState(false)
  const send = () =>
    void submission.run(async () => {
      await accountApi.resendConfirmation()
      setSent(true)
    })
  return (
    <div className="grid gap-3">
      <Problem text={submission.problem} />
      {isSent && (
        <Banner tone="success" role="status">
          Another link is on its way.
        </Banner>
      )}
      <button
        type="button"
        className="button primary justify-self-start"
        disabled={submission.isBusy}
        onClick={send}
      >
        {submission.isBusy && <span className="spinner" />}
        Send another link
      </button>
    </div>
  )
}

function Onward({ home }: { home: string }) {
  return (
    <p className="text-sm">
      <AppLink href={home} className="link">
        Go on to the dashboard
      </AppLink>
    </p>
  )
}
