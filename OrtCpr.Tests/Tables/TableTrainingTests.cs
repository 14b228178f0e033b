using System.Globalization;
using Apache.Arrow;
using Microsoft.ML;
using Microsoft.ML.Data;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Tables;
using OrtCpr.Tests.Text;
using OrtCpr.Tests.Tool;
using static OrtCpr.Tests.Tables.TableWriting;

namespace OrtCpr.Tests.Tables;

// The same numbers train alike from every kind of table, and by the command line.
[TestClass]
[DoNotParallelize]
public sealed class TableTrainingTests
{
    private const int Rows = 40, Width = 10;

    private static readonly string[] Species = ["a", "b", "c", "d", "e"];

    private sealed class Row
    {
        [VectorType(Width)]
        public float[] Features { get; set; } = [];
        public string Species { get; set; } = "";
    }

    private static string Model => TestModels.Case("models/mlp_dynamo.onnx");

    private static float[][] Draw()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, Width).Select(_ => Enumerable.Range(0, Rows).Select(_ => random.NextSingle() - 0.5f).ToArray())];
    }

    private static string[] Labels(float[][] x) =>
        [.. Enumerable.Range(0, Rows).Select(i => Species[(x[0][i] > 0 ? 1 : 0) + (2 * (i % 2))])];

    private static void Write(TemporaryFolder folder, float[][] x, string[] labels)
    {
        File.WriteAllLines(folder["t.csv"], [$"{string.Join(',', x.Select((_, c) => $"x{c}"))},species", .. Enumerable.Range(0, Rows)
            .Select(i => $"{string.Join(',', x.Select(c => c[i].ToString("R", CultureInfo.InvariantCulture)))},{labels[i]}")]);
        ParquetFile(folder["t.parquet"], 2,
            [.. x.Select((c, n) => Column<float>($"x{n}", [.. c[..30].Select(v => (float?)v)], [.. c[30..].Select(v => (float?)v)])),
            Column("species", labels[..30], labels[30..])]);
        StringArray Texts(string[] texts) => new StringArray.Builder().AppendRange(texts).Build();
        Arrow(folder["t.feather"], [.. new[] { ..25, 25.. }.Select(part => Batch(
            [.. x.Select((c, n) => ($"x{n}", (IArrowArray)new FloatArray.Builder().AppendRange(c[part]).Build())),
                ("species", Texts(labels[part]))]))]);
    }

    private static double[] Train(DataSource source)
    {
        using TrainingDriver driver = TrainingDriver.Create(Model, new TrainingOptions { Loss = new CrossEntropyLoss() },
            new DriverOptions { Threads = 1 });
        var loader = new DataLoader(source, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = 8, Seed = 3 });
        var losses = new List<double>();
        for (int epoch = 0; epoch < 3; epoch++)
        {
            foreach (Batch batch in loader.Batches(epoch))
            {
                using (batch) losses.Add(driver.Step(batch));
            }
        }
        return [.. losses];
    }

    [TestMethod]
    public void LossesAreTheSame_ToTheBit()
    {
        using var folder = new TemporaryFolder();
        float[][] x = Draw();
        string[] labels = Labels(x);
        Write(folder, x, labels);
        using DataSource csv = DataSource.FromCsv(folder["t.csv"], new CsvOptions { Label = "species" });
        double[] expected = Train(csv);
        Assert.IsTrue(expected.Length == 15 && expected[^1] < expected[0]);
        TableOptions options = new() { Label = "species" };
        using TableSource parquet = TableSource.FromParquet(folder["t.parquet"], options);
        CollectionAssert.AreEqual(expected, Train(parquet));
        using TableSource arrow = TableSource.FromArrow(folder["t.feather"], options);
        CollectionAssert.AreEqual(expected, Train(arrow));
        IDataView view = new MLContext(1).Data.LoadFromEnumerable(Enumerable.Range(0, Rows)
            .Select(i => new Row { Features = [.. x.Select(c => c[i])], Species = labels[i] }));
        using TableSource rows = TableSource.FromDataView(view, new TableOptions { Label = "Species" });
        CollectionAssert.AreEqual(expected, Train(rows));
    }

    [TestMethod]
    [DataRow("t.csv")]
    [DataRow("t.parquet")]
    [DataRow("t.feather")]
    public void TheTool_TrainsAndEvaluates(string file)
    {
        using var folder = new TemporaryFolder();
        float[][] x = Draw();
        Write(folder, x, Labels(x));
        (int code, string output) = CommandTests.Run("train", Model, "--data", folder[file], "--label", "species", "--metric", "accuracy",
            "--validation-split", "0.2", "--missing-value", "-0.5", "--epochs", "2", "--threads", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "accuracy");
        StringAssert.Contains(File.ReadAllText(Path.Combine(folder["job"], "classes.json")), "\"a\"");
        (code, output) = CommandTests.Run("evaluate", folder["job"], "--data", folder[file], "--metric", "accuracy");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "accuracy");
        (code, output) = CommandTests.Run("train", Model, "--data", folder[file], "--out", folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, $"list {(file == "t.csv" ? "the column" : "it")} as --categorical");
        (code, output) = CommandTests.Run("train", Model, "--data", folder[file], "--label", "kind", "--out", folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "there is no column 'kind'");
    }

    [TestMethod]
    public void TheTool_ReadsTextsOfParquetFiles()
    {
        using var folder = new TemporaryFolder();
        SmallTokenizers.WordPiece(folder);
        string[] words = ["hello", "un", "cafe"];
        ParquetFile(folder["t.parquet"], 1, Column("text", [.. Enumerable.Range(0, 12).Select(i => $"{words[i % 3]} world")]),
            Column("topic", [.. Enumerable.Range(0, 12).Select(i => $"topic{i % 3}")]));
        string model = TextModels.Encoder(folder["encoder.onnx"]);
        (int code, string output) = CommandTests.Run("train", model, "--data", folder["t.parquet"], "--text", "text", "--label", "topic",
            "--steps", "1", "--threads", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "12 texts by WordPiece");
        StringAssert.Contains(output, "classes 0 topic0, 1 topic1, 2 topic2");
        ParquetFile(folder["t.parquet"], 1, Column("text", ["hello", null]), Column("topic", ["a", "b"]));
        (code, output) = CommandTests.Run("train", model, "--data", folder["t.parquet"], "--text", "text", "--label", "topic", "--out",
            folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "row 2: the text 'text' is empty");
    }
}
