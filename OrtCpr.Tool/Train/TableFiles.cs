using System.Collections.Immutable;
using System.CommandLine;
using OrtCpr.Data;
using OrtCpr.Tables;
using OrtCpr.Tables.Formats;

namespace OrtCpr.Tool.Train;

// Tables of numbers as data: CSV, Parquet, Arrow and Feather files.
internal sealed class TableFiles
{
    private readonly Option<string[]> _features =
        new("--feature") { Description = "Tables: the features' columns; all others by default." };
    private readonly Option<string[]> _categorical = new("--categorical") { Description = "Tables: feature columns that hold texts." };
    private readonly Option<float?> _missing = new("--missing-value")
    {
        Description = "Tables: what stands for a feature that is missing; without it such a table is refused.",
    };

    // What the table that was opened first has said: the one to evaluate on is read alike.
    private ImmutableArray<string> _classes = [];
    private ImmutableDictionary<string, ImmutableArray<string>> _categories =
        ImmutableDictionary<string, ImmutableArray<string>>.Empty;

    public static readonly string[] Reading = ["--feature", "--categorical", "--missing-value"];

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _features, _categorical, _missing }) command.Add(option);
    }

    public ImmutableArray<string> Classes => _classes;

    // Null for a file that is none of them, and for CSV, which has no types.
    public static TableFormat? FormatOf(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".parquet" => TableFormat.Parquet,
        ".arrow" or ".arrows" or ".feather" or ".ipc" => TableFormat.Arrow,
        _ => null,
    };

    // Null where the path is no table.
    public DataSource? Open(ParseResult r, string path, string? label)
    {
        TableFormat? format = FormatOf(path);
        if (format is null && Path.GetExtension(path).ToLowerInvariant() is not (".csv" or ".tsv")) return null;
        string model = r.GetValue<string>("MODEL")!;
        bool isRun = _classes.Length == 0 && label is not null && Directory.Exists(model);
        ImmutableArray<string> classes = isRun ? ClassFile.Read(model) : _classes;
        ImmutableArray<string> features = [.. r.GetValue(_features) ?? []], categorical = [.. r.GetValue(_categorical) ?? []];
        DataSource source = format is null
            ? DataSource.FromCsv(path, new CsvOptions
            {
                Label = label,
                Features = features,
                Categorical = categorical,
                Classes = classes,
                MissingValue = r.GetValue(_missing),
            })
            : TableSource.FromFormat(path, format, new TableOptions
            {
                Label = label,
                Features = features,
                Categorical = categorical,
                Categories = _categories,
                Classes = classes,
                MissingValue = r.GetValue(_missing),
            });
        if (_classes.Length == 0) _classes = source.Columns.FirstOrDefault(c => c.IsLabel)?.ClassNames ?? [];
        if (source is TableSource table) _categories = table.Options.Categories;
        return source;
    }
}
