/** Elements without markup: what a job says goes in as text, always. */
import { LabIcon } from '@jupyterlab/ui-components';

type Content = Node | string | null;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...content: Content[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  node.append(...content.filter((one): one is Node | string => one !== null));
  return node;
}

/** Touch what differs only, so that a reader's selection and a screen reader's place stay. */
export function write(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node: HTMLElement, name: string, value: string | null): void {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function button(label: string, icon: LabIcon | null, act: () => void): HTMLButtonElement {
  const node = make('button', { type: 'button', class: 'mlaas-Button', title: label, 'aria-label': label });
  if (icon === null) {
    node.append(label);
    node.classList.add('mlaas-worded');
  } else {
    icon.element({ container: node, tag: 'span', stylesheet: 'menuItem' });
    node.title = label;
  }
  node.addEventListener('click', event => {
    event.stopPropagation();
    act();
  });
  return node;
}

/** The children of `parent` become `wanted`, in order; those that stay are not touched, so focus stays too. */
export function order(parent: HTMLElement, wanted: HTMLElement[]): void {
  const keep = new Set<Element>(wanted);
  [...parent.children].forEach(child => keep.has(child) || child.remove());
  wanted.forEach((node, place) => {
    if (parent.children[place] !== node) {
      parent.insertBefore(node, parent.children[place] ?? null);
    }
  });
}
