using System.Globalization;
using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;
using OrtCpr.Tables.Formats;
using OrtCpr.Text;

namespace OrtCpr.Tool.Train;

// The rows of a Parquet or Arrow file as texts and labels.
internal sealed class TableTexts(TableFormat format)
{
    public IEnumerable<TextRow> Rows(string path, TextOptions options, List<string> problems) =>
        format.Read(path, table => Read(path, table, options).ToList());

    private static IEnumerable<TextRow> Read(string path, TableReader table, TextOptions options)
    {
        string[] wanted = [.. new[] { options.Text, options.Pair, options.Label }.OfType<string>()];
        (int[] columns, _) = ColumnChoice.Find($"'{path}'", [.. table.Fields.Select(f => f.Name)], [.. wanted], [], null);
        int label = options.Label is null ? -1 : columns.Length - 1;
        string[] wrong = [.. columns.Select((c, i) => (Field: table.Fields[c], IsLabel: i == label))
            .Where(c => c.Field.IsList || c.Field.Refusal is not null || (!c.IsLabel && c.Field.Type != ElementType.String))
            .Select(c => $"'{c.Field.Name}'")];
        if (wrong.Length > 0)
            throw new DataFileException($"'{path}': expected texts in column {string.Join(", ", wrong)}. Choose other columns.");
        int row = 0;
        foreach (Cells[] part in table.Read(columns))
        {
            string[][] cells = [.. part.Select(Texts)];
            for (int i = 0; i < part[0].Rows; i++)
            {
                TextRow text = TextRows.Of(++row, cells[0][i], options.Pair is null ? null : cells[1][i],
                    label < 0 ? null : cells[label][i], options);
                yield return text with { Unit = "row" };
            }
        }
    }

    private static string[] Texts(Cells cells)
    {
        if (cells.Type == ElementType.String) return [.. cells.Texts.Select(t => t ?? "")];
        double[] numbers = new double[cells.Rows];
        Numbers.Convert(cells.Values, cells.Type, MemoryMarshal.AsBytes(numbers.AsSpan()), ElementType.Double);
        return [.. numbers.Select((n, i) => cells.Missing?[i] == true ? "" : n.ToString(CultureInfo.InvariantCulture))];
    }
}
