namespace Grokking;

// Rows in memory and in a file that grows with them; each row is on the disk before the next epoch begins.
internal sealed class CsvLog<TRow>(string path) where TRow : ILogRow<TRow>
{
    private readonly List<TRow> _rows = [];

    public IReadOnlyList<TRow> Rows => _rows;

    // A new file without rows.
    public void Start() => Rewrite();

    // The rows of an earlier run; those that pass go on.
    public void Continue()
    {
        if (!File.Exists(path)) return;
        string[] lines = File.ReadAllLines(path);
        if (lines.Length == 0 || lines[0] != TRow.Header) throw new GrokkingException($"'{path}' does not begin with the columns '{TRow.Header}'. Start without --resume, or in another folder.");
        for (int i = 1; i < lines.Length; i++)
        {
            try
            {
                _rows.Add(TRow.Parse(lines[i].Split(',')));
            }
            catch (Exception error) when (error is FormatException or IndexOutOfRangeException)
            {
                // A process that was killed may leave half a line at the end.
                if (i < lines.Length - 1) throw new GrokkingException($"'{path}', line {i + 1} is no row of '{TRow.Header}'. Mend it, or start without --resume.");
            }
        }
    }

    // Keeps what passes, in memory and in the file.
    public void Keep(Predicate<TRow> passes)
    {
        _rows.RemoveAll(row => !passes(row));
        Rewrite();
    }

    public void Add(IReadOnlyCollection<TRow> rows)
    {
        _rows.AddRange(rows);
        File.AppendAllText(path, string.Concat(rows.Select(row => row.ToLine() + "\n")));
    }

    public IReadOnlyList<TRow> Of(string optimizer, long seed) => [.. _rows.Where(row => row.Optimizer == optimizer && row.Seed == seed)];

    private void Rewrite()
    {
        string temporary = $"{path}.tmp";
        File.WriteAllText(temporary, string.Concat(_rows.Select(row => row.ToLine() + "\n").Prepend(TRow.Header + "\n")));
        File.Move(temporary, path, overwrite: true);
    }
}
