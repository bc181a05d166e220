#!/usr/bin/env python3
"""Makes a man page: of a page of the manual (src/manual/*.md), or of what --help says. lowdown renders it.
Usage: man_page.py page PAGE.md VERSION OUTPUT, or man_page.py program KVD VERSION OUTPUT PAGE..."""
import re
import subprocess
import sys

FENCE = re.compile(r'^\s*(```|~~~)')


def render(name, section, version, markdown):
    """The man page as lowdown writes it."""
    about = {'title': name, 'section': section, 'source': f'kvd {version}', 'volume': 'kvd', 'date': ''}
    metadata = [argument for key, value in about.items() for argument in ('-M', f'{key}={value}')]
    page = subprocess.run(['lowdown', '-s', '-Tman', *metadata], input=markdown, capture_output=True, text=True,
                          check=True).stdout
    return re.sub(r'^(\.TH .*\n)', r'\1.ad l\n.nh\n', page, flags=re.MULTILINE)  # long words in narrow lines


def linked(text):
    """Links to other pages as man pages are named; of other links within the project the text alone."""
    text = re.sub(r'\[([^]]*)\]\(([\w-]+)\.md(?:#[^)]*)?\)', r'\1 (**kvd-\2**(7))', text)
    return re.sub(r'\[([^]]*)\]\((?!\w+:)[^)]*\)', r'\1', text)


def cells(row):
    return [cell.strip().replace(r'\|', '|') for cell in re.split(r'(?<!\\)\|', row.strip()[1:-1])]


def listed(table):
    """A table as a list, as a terminal is too narrow for it: what a row begins with, then its other cells."""
    head, _, *rows = table
    names = cells(head)
    items = []
    for row in rows:
        first, *others = cells(row)
        if len(others) == 1:
            items.append(f'- {first}: {others[0]}\n')
        else:
            named = [f'    {name}: {cell}\n' for name, cell in zip(names[1:], others)]
            items.append('\n'.join([f'- {first}\n', *named]))
    return '\n'.join(items)


def without_markup(text):
    """Prose with its tables, headings and links as man pages have them; `text` holds no code."""
    text = re.sub(r'(?:^\|.*\n)+', lambda found: listed(found.group().strip().split('\n')), text, flags=re.MULTILINE)
    return linked(re.sub(r'^#(#+ )', r'\1', text, flags=re.MULTILINE))


def body_of(text):
    """Everything but code, which stays as it is."""
    parts, prose, fenced = [], [], False
    for line in text.split('\n'):
        fence = bool(FENCE.match(line))
        if fenced or fence or line.startswith('    '):
            parts += [without_markup('\n'.join([*prose, ''])), line + '\n']
            prose = []
        else:
            prose.append(line)
        fenced ^= fence
    return ''.join([*parts, without_markup('\n'.join([*prose, '']))])


def page_markdown(page, text):
    """The page with the section NAME that man pages begin with, and its own headings one level up."""
    title, _, rest = text.strip().partition('\n')
    if not title.startswith('# '):
        raise SystemExit(f'{page}: the first line is no title, as "# title"')
    sentence = re.match(r'\s*(.+?)(?:\.(?=\s|$)|\n\n|$)', rest, re.DOTALL)
    if not sentence:
        raise SystemExit(f'{page}: no sentence below the title says what it is about')
    summary = linked(' '.join(sentence.group(1).split()))
    return f'# NAME\n\nkvd-{page} - {summary}\n\n# DESCRIPTION\n\n{body_of(rest.strip())}\n# SEE ALSO\n\n**kvd**(1)\n'


def help_of(kvd, *command):
    return subprocess.run([kvd, *command, '--help'], capture_output=True, text=True, check=True).stdout


def block(text):
    """Text as it stands."""
    return '\n'.join('    ' + line if line else '' for line in text.strip('\n').split('\n')) + '\n'


def without_usage(text):
    """The sentence that --help begins with, the synopsis and the rest."""
    sentence, rest = text.split('\nUsage: ', 1)
    synopsis, rest = rest.split('\n', 1)
    return sentence, synopsis, rest.split('Options:\n', 1)[1]


def commands_below(kvd, *words):
    """The subcommands that begin with these words, or are these words, each as its words."""
    answer = subprocess.run([kvd, 'complete', *words, ''], capture_output=True, text=True, check=True).stdout
    next_words = [line.split('\t')[0] for line in answer.split('\n') if '\t' in line and not line.startswith('-')]
    return [command for word in next_words for command in commands_below(kvd, *words, word)] or [words]


def program_markdown(kvd, pages):
    """kvd(1): what kvd --help says, then each subcommand's."""
    commands = commands_below(kvd)
    sentence, synopsis, options = without_usage(help_of(kvd))
    parts = [f'# NAME\n\n{sentence.replace(":", " -", 1)}\n',
             f'# SYNOPSIS\n\n{block(synopsis)}',
             f'# OPTIONS\n\n{block(options)}']
    for command in commands:
        sentence, synopsis, options = without_usage(help_of(kvd, *command))
        parts.append(f'# KVD {" ".join(command).upper()}\n\n{sentence}\n\n{block(synopsis)}\nOptions:\n\n{block(options)}')
    also = ', '.join(f'**kvd-{page}**(7)' for page in sorted(pages))
    return '\n'.join([*parts, f'# SEE ALSO\n\n{also}\n'])


def main(kind, source, version, output, *pages):
    if kind == 'page':
        with open(source, encoding='utf-8') as file:
            name = re.sub(r'.*/|\.md$', '', source)
            text = render(f'kvd-{name}', '7', version, page_markdown(name, file.read()))
    else:
        text = render('kvd', '1', version, program_markdown(source, pages))
    with open(output, 'w', encoding='utf-8') as file:
        file.write(text)


if __name__ == '__main__':
    main(*sys.argv[1:])
