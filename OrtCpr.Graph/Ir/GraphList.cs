using System.Collections;

namespace OrtCpr.Graph.Ir;

/// <summary>A list of a graph that others may read only: a rule or loss of a user's own cannot edit what it looks at.</summary>
/// <typeparam name="T">What it holds.</typeparam>
public sealed class GraphList<T> : IReadOnlyList<T>
{
    private readonly List<T> _items = [];

    internal GraphList()
    {
    }

    /// <inheritdoc/>
    public int Count => _items.Count;

    /// <summary>The item at a position.</summary>
    public T this[int index]
    {
        get => _items[index];
        internal set => _items[index] = value;
    }

    /// <inheritdoc/>
    public IEnumerator<T> GetEnumerator() => _items.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal void Add(T item) => _items.Add(item);

    internal void Insert(int index, T item) => _items.Insert(index, item);

    internal bool Remove(T item) => _items.Remove(item);

    internal void RemoveAt(int index) => _items.RemoveAt(index);

    internal void Clear() => _items.Clear();

    internal int IndexOf(T item) => _items.IndexOf(item);
}
