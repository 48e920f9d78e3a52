/** Line icons of 24 units, drawn with the colour of the words around them; they carry no text. */
const paths = {
  folder: 'M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z',
  play: 'M8 5.5v13l10.5-6.5z',
  chevronRight: 'm9 6 6 6-6 6',
  chevronLeft: 'm15 6-6 6 6 6',
  chevronDown: 'm6 9 6 6 6-6',
  chevronUp: 'm6 15 6-6 6 6',
  key: 'M15.5 8.5h.01M21 9a6 6 0 0 1-8.1 5.6L11 16.5H9V19H6.500v2H3v-3.500l6.400-6.400A6 6 0 1 1 21 9z',
  menu: 'M4 7h16M4 12h16M4 17h16',
  close: 'm6 6 12 12M18 6 6 18',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  copy: 'M9 9h10v10H9zM5 15V5h10',
  download: 'M12 4v11m-4.500-4.500L12 15l4.500-4.500M5 19h14',
  plusMinus: 'M12 4v10M7 9h10M7 19h10',
  check: 'm5 12.500 4.500 4.500L19 7.500',
  bolt: 'M13 3 5 13.500h6L10 21l8-10.500h-6z',
  terminal: 'm5 8 4 4-4 4M12 17h7',
  restart: 'M4 12a8 8 0 1 0 2.500-5.800M4 4v4h4',
  bell: 'M6 16.500V11a6 6 0 1 1 12 0v5.500l1.500 1.500h-15zM10 20.500a2.200 2.200 0 0 0 4 0',
  history: 'M12 7v5l3.500 2M4.500 12a7.500 7.500 0 1 0 2.200-5.300L4.500 8.900M4.500 4.500v4.400h4.400',
  warning: 'M12 4 2.500 20h19zM12 10v4.500M12 17.500h.01',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4',
  nodes:
    'M12 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM6 21a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM18 21a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM10.8 7.700 7.200 16.300M13.200 7.700l3.600 8.600M8.500 18.500h7',
  building:
    'M4 21V4.500a1 1 0 0 1 1-1h9a1 1 0 0 1 1 1V21M15 10h4a1 1 0 0 1 1 1v10M2.500 21h19M8 8h3M8 12h3M8 16h3',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  upload: 'M12 15V4m0 0L7.500 8.500M12 4l4.500 4.500M4 15v4h16v-4',
  leave: 'M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9',
  person: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.500 20a7.500 7.500 0 0 1 15 0',
}

export type IconName = keyof typeof paths

export function Icon({ name, className = 'size-5' }: { name: IconName; className?: string }) {
  return (
    <svg
      aria-hidden="true"
      className={`flex-none ${className}`}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={name === 'more' ? 2.5 : 1.75}
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={paths[name]} />
    </svg>
  )
}
