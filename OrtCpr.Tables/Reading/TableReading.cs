using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;

namespace OrtCpr.Tables.Reading;

/// <summary>One pass over a table.</summary>
/// <param name="where">What errors begin with.</param>
/// <param name="options">Columns.</param>
internal sealed class TableReading(string where, TableOptions options)
{
    private const int MostProblems = 10;
    private const long IgnoredLabel = -100;
    private const string NoLabel = "the label is missing";

    private readonly List<string> _problems = [];
    private readonly List<double> _labels = [];
    private readonly List<string> _labelTexts = [];
    private readonly List<TablePart> _parts = [];
    private readonly Dictionary<string, CategoryNumbers> _categories = options.Categorical.Distinct().ToDictionary(c => c,
        c => new CategoryNumbers(options.Categories.GetValueOrDefault(c, [])), StringComparer.Ordinal);

    private TableField[] _fields = [];
    private int[] _scalars = [], _lists = [];
    private int _label = -1;
    private long _count;

    /// <summary>Reads a table.</summary>
    /// <returns>The examples, and the options with what the table has said.</returns>
    public (TableData Data, TableOptions Options) Run(TableReader table)
    {
        (int[] features, int label) =
            ColumnChoice.Find(where, [.. table.Fields.Select(f => f.Name)], options.Features, options.Categorical, options.Label);
        int[] read = label < 0 ? features : [.. features, label];
        _fields = [.. read.Select(i => table.Fields[i])];
        _label = label < 0 ? -1 : read.Length - 1;
        CheckFields(features.Length);
        _scalars = [.. Enumerable.Range(0, features.Length).Where(i => !_fields[i].IsList)];
        _lists = [.. Enumerable.Range(0, read.Length).Where(i => _fields[i].IsList)];
        foreach (Cells[] part in table.Read(read))
        {
            if (part[0].Rows > 0) Add(part);
            if (_problems.Count >= MostProblems) break;
        }
        if (_count == 0 && _problems.Count == 0) _problems.Add("there is no row");
        ListColumn[] lists = _problems.Count > 0 ? [] : [.. _lists.Select(ListOf)];
        LabelValues? labels = _label < 0 || _fields[_label].IsList || _problems.Count > 0 ? null : Labels();
        ThrowIfAny();
        DataColumn? columns = _scalars.Length == 0 ? null
            : new("features", ElementType.Float, [_scalars.Length]) { ElementNames = [.. _scalars.Select(i => _fields[i].Name)] };
        return (new TableData(_parts, _count, columns, lists, labels), options with
        {
            Features = [.. _fields.Take(features.Length).Select(f => f.Name)],
            Classes = labels?.Names ?? [],
            Categories = _categories.ToImmutableDictionary(c => c.Key, c => c.Value.Texts),
        });
    }

    private void CheckFields(int features)
    {
        for (int i = 0; i < _fields.Length; i++)
        {
            TableField field = _fields[i];
            bool isLabel = i >= features, isCategory = !isLabel && _categories.ContainsKey(field.Name);
            if (field.Refusal is not null)
                _problems.Add($"column '{field.Name}' has {field.Refusal}, of which no number is made: convert it, or leave it out");
            else if (isCategory && field.IsList)
                _problems.Add($"column '{field.Name}' is one of {nameof(TableOptions.Categorical)} and has lists; expected single values");
            else if (!isLabel && !isCategory && field.Type == ElementType.String)
                _problems.Add($"column '{field.Name}' has texts; list it as {nameof(TableOptions.Categorical)} or leave it out");
        }
        bool scalars = _fields.Take(features).Any(f => !f.IsList);
        foreach (TableField field in _fields.Take(features).Where(f => f.IsList))
        {
            if ((scalars && field.Name == "features") || (options.Label is not null && field.Name == "label"))
                _problems.Add($"column '{field.Name}' has lists and the name of another column of the source; rename it");
        }
        ThrowIfAny();
    }

    private void ThrowIfAny()
    {
        if (_problems.Count == 0) return;
        throw new DataFileException($"{where}: {string.Join("; ", _problems.Take(MostProblems))}"
            + $"{(_problems.Count > MostProblems ? "; and more" : "")}. Mend the rows, or choose other columns.");
    }

    private void Add(Cells[] part)
    {
        int rows = part[0].Rows;
        float[] features = new float[checked(rows * _scalars.Length)];
        for (int c = 0; c < _scalars.Length; c++) Fill(features, c, _fields[_scalars[c]], part[_scalars[c]]);
        foreach (int i in _lists) CheckList(part[i], _fields[i], i == _label);
        if (_label >= 0 && !_fields[_label].IsList) AddLabels(part[_label]);
        _parts.Add(new TablePart(_count, features, [.. _lists.Select(i => Compact(part[i]))]));
        _count += rows;
    }

    // What lies in front of the first list belongs to none.
    private static Cells Compact(Cells cells) => cells with { Missing = null, MissingLists = null };

    private bool Report(long row, string column, string what)
    {
        _problems.Add(string.Create(CultureInfo.InvariantCulture, $"row {_count + row + 1}, column '{column}': {what}"));
        return _problems.Count >= MostProblems;
    }

    private void Fill(float[] features, int column, TableField field, Cells cells)
    {
        int width = _scalars.Length;
        if (_categories.TryGetValue(field.Name, out CategoryNumbers? known))
        {
            string?[] texts = Texts(cells);
            for (int i = 0; i < texts.Length; i++)
            {
                int number = texts[i] is null ? -1 : known.Of(texts[i]!);
                features[(i * width) + column] = number;
                if (number >= 0) continue;
                string what = texts[i] is null ? "the category is missing"
                    : $"'{texts[i]}' is none of the categories {string.Join(", ", known.Texts.Take(20))}";
                if (Report(i, field.Name, what)) return;
            }
            return;
        }
        float[] values = new float[cells.Rows];
        Numbers.Convert(cells.Values, cells.Type, MemoryMarshal.AsBytes(values.AsSpan()), ElementType.Float);
        for (int i = 0; i < values.Length; i++)
        {
            bool isMissing = cells.Missing?[i] == true || float.IsNaN(values[i]);
            if (isMissing && options.MissingValue is float replacement) values[i] = replacement;
            else if (isMissing && Report(i, field.Name, Absent)) return;
            else if (!isMissing && float.IsInfinity(values[i]) && Report(i, field.Name, "expected a finite number of float32")) return;
            features[(i * width) + column] = values[i];
        }
    }

    private static string Absent => $"the value is missing ({nameof(TableOptions.MissingValue)} would stand for it)";

    /// <summary>Texts as they are, numbers in the invariant form.</summary>
    private static string?[] Texts(Cells cells)
    {
        if (cells.Type == ElementType.String) return [.. cells.Texts.Select(t => t is "" ? null : t)];
        double[] numbers = Doubles(cells);
        return [.. numbers.Select(n => double.IsNaN(n) ? null : n.ToString(CultureInfo.InvariantCulture))];
    }

    private static double[] Doubles(Cells cells)
    {
        double[] numbers = new double[cells.Rows];
        Numbers.Convert(cells.Values, cells.Type, MemoryMarshal.AsBytes(numbers.AsSpan()), ElementType.Double);
        for (int i = 0; i < cells.Missing?.Length; i++)
        {
            if (cells.Missing[i]) numbers[i] = double.NaN;
        }
        return numbers;
    }

    private void AddLabels(Cells cells)
    {
        string name = _fields[_label].Name;
        if (cells.Type == ElementType.String)
        {
            for (int i = 0; i < cells.Rows; i++)
            {
                string text = cells.Texts[i]?.Trim() ?? "";
                if (text.Length == 0 && Report(i, name, NoLabel)) return;
                _labelTexts.Add(text);
            }
            return;
        }
        foreach (double number in Doubles(cells))
        {
            int i = _labels.Count - (int)_count;
            if (double.IsNaN(number) && Report(i, name, NoLabel)) return;
            if (double.IsInfinity(number) && Report(i, name, "expected a finite number")) return;
            _labels.Add(number);
        }
    }

    private LabelValues? Labels()
    {
        TableField field = _fields[_label];
        LabelChoice choice = new(field.Name, options.IsClass, options.Classes);
        if (field.Type == ElementType.String) return LabelValues.OfTexts(_labelTexts, choice, _problems);
        if (field.KeyNames.Length == 0 || options.IsClass == false) return LabelValues.OfNumbers([.. _labels], choice, _problems);
        int strange = _labels.FindIndex(n => n >= field.KeyNames.Length);
        if (strange >= 0)
        {
            _problems.Add($"column '{field.Name}': key {_labels[strange] + 1} in row {strange + 1} is above the {field.KeyNames.Length} "
                + "values that the keys stand for");
            return null;
        }
        return options.Classes.Length > 0
            ? LabelValues.OfTexts([.. _labels.Select(n => field.KeyNames[(int)n])], choice, _problems)
            : new LabelValues([.. _labels.Select(n => (long)n)], null, field.KeyNames);
    }

    private void CheckList(Cells cells, TableField field, bool isLabel)
    {
        for (int i = 0; i < cells.MissingLists?.Length; i++)
        {
            if (cells.MissingLists[i] && Report(i, field.Name, "the list is missing")) return;
        }
        bool isFloating = field.Type.IsFloating();
        if (cells.Missing is null && !isFloating) return;
        float[] floats = isFloating ? new float[cells.Values.Length / cells.Size] : [];
        if (isFloating) Numbers.Convert(cells.Values, cells.Type, MemoryMarshal.AsBytes(floats.AsSpan()), ElementType.Float);
        byte[]? replacement = isLabel ? null : Replacement(field.Type);
        int row = 0;
        for (int e = cells.Offsets![0]; e < cells.Offsets[^1]; e++)
        {
            while (cells.Offsets[row + 1] <= e) row++;
            if (cells.Missing?[e] == true || (isFloating && float.IsNaN(floats[e])))
            {
                if (replacement is not null) replacement.CopyTo(cells.Values.AsSpan(e * cells.Size));
                else if (Report(row, field.Name, $"element {e - cells.Offsets[row] + 1}: {(isLabel ? NoLabel : Absent)}")) return;
            }
            else if (isFloating && float.IsInfinity(floats[e])
                && Report(row, field.Name, $"element {e - cells.Offsets[row] + 1}: expected a finite number"))
            {
                return;
            }
        }
    }

    // Null where there is none, or none of the type.
    private byte[]? Replacement(ElementType type)
    {
        if (options.MissingValue is not float value) return null;
        byte[] bytes = new byte[type.BitsPerElement() / 8];
        Numbers.Convert(MemoryMarshal.AsBytes(new[] { value }.AsSpan()), ElementType.Float, bytes, type);
        float[] back = new float[1];
        Numbers.Convert(bytes, type, MemoryMarshal.AsBytes(back.AsSpan()), ElementType.Float);
        return type.IsFloating() || back[0] == value ? bytes : null;
    }

    private ListColumn ListOf(int field)
    {
        TableField column = _fields[field];
        bool isLabel = field == _label;
        int at = Array.IndexOf(_lists, field);
        (int least, int most) = (int.MaxValue, 0);
        foreach (TablePart part in _parts)
        {
            int[] offsets = part.Lists[at].Offsets!;
            for (int i = 1; i < offsets.Length; i++)
            {
                least = Math.Min(least, offsets[i] - offsets[i - 1]);
                most = Math.Max(most, offsets[i] - offsets[i - 1]);
            }
        }
        if (most == 0) _problems.Add($"column '{column.Name}' has empty lists only");
        bool isPadded = least != most;
        IReadOnlyList<long> shape = isPadded || column.Shape is null || column.Shape.Aggregate(1L, (n, d) => n * d) != most ? [most]
            : column.Shape;
        byte[] padding = new byte[column.Type.BitsPerElement() / 8];
        if (isLabel && column.Type is ElementType.Int64 or ElementType.Int32 or ElementType.Int16)
            Numbers.Convert(MemoryMarshal.AsBytes(new[] { IgnoredLabel }.AsSpan()), ElementType.Int64, padding, column.Type);
        return new ListColumn(new DataColumn(isLabel ? "label" : column.Name, column.Type, shape, isLabel)
        {
            PaddedAxis = isPadded ? 0 : null,
        }, at, padding);
    }
}
