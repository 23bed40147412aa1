/** Connections, page by page. */

export interface Page<Item> {
  nodes: Item[];
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

/**
 * Every item of a connection; `read` answers the page after a cursor.
 *
 * A page that a filter has emptied may still be followed by another: `hasNextPage` alone says when it is over.
 */
export async function* items<Item>(read: (after: string | null) => Promise<Page<Item>>): AsyncGenerator<Item> {
  let after: string | null = null;
  for (;;) {
    const page: Page<Item> = await read(after);
    yield* page.nodes;
    if (!page.pageInfo.hasNextPage) return;
    after = page.pageInfo.endCursor ?? null;
  }
}
