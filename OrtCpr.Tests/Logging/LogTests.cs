using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Logging;
using OrtCpr.Metrics;

namespace OrtCpr.Tests.Logging;

[TestClass]
public sealed class LogTests
{
    private static TrainingDriver Create() => Driver.FitTests.Create();

    private static IEnumerable<Batch> Batches(long epoch) => Driver.FitTests.Batches(epoch);

    private static BatchSource Epochs => Driver.FitTests.Epochs;

    private static FitOptions Options(long epochs, params TrainerCallback[] callbacks) =>
        new()
        {
            Epochs = epochs,
            StepsPerEpoch = 5,
            Validation = BatchSource.From(_ => Batches(9)),
            Metrics = [Metric.Accuracy()],
            Callbacks = [.. callbacks]
        };

    [TestMethod]
    public void Csv_HasARowForStepsAndEvaluations()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        string path = folder["logs/metrics.csv"], bounds = folder["logs/constraints.csv"];
        new Trainer(driver).Fit(Epochs, Options(2, MetricsLog.ToCsv(path, 5), MetricsLog.ConstraintsToCsv(bounds, 2)));
        string[][] rows = [.. File.ReadAllLines(path).Select(l => l.Split(','))];
        CollectionAssert.AreEqual(new[] { "step", "epoch", "seconds", "loss", "learning_rate", "active_constraints", "validation_loss",
            "validation_accuracy" }, rows[0]);
        CollectionAssert.AreEqual(new[] { "5", "5", "10", "10" }, rows.Skip(1).Select(r => r[0]).ToArray());
        Assert.IsTrue(rows[1][6].Length == 0 && rows[2][3].Length == 0 && double.Parse(rows[2][7], CultureInfo.InvariantCulture) is >= 0
            and <= 1);
        string[][] constraints = [.. File.ReadAllLines(bounds).Skip(1).Select(l => l.Split(','))];
        CollectionAssert.AreEqual(new[] { "2", "4", "6", "8", "10" }, constraints.Select(r => r[0]).ToArray());
        Assert.AreEqual("", constraints[0][3], "κ is set at step 3");
        Assert.AreEqual(Regularizer.L2.Measure(driver.GetParameter("weight").AsSpan<float>()),
            double.Parse(constraints[4][4], CultureInfo.InvariantCulture));
    }

    [TestMethod]
    public void Logs_MayHaveEvaluationsAlone_OfFurtherSourcesToo()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        string path = folder["m.csv"], bounds = folder["constraints.csv"];
        FitOptions options = Options(2, MetricsLog.ToCsv(path, 0), MetricsLog.ConstraintsToCsv(bounds, 0),
            MetricsLog.ToTensorBoard(folder["board"], 0));
        new Trainer(driver).Fit(BatchSource.From(Batches),
            options with { AlsoEvaluate = [("training", BatchSource.From(_ => Batches(0)))] });
        string[] lines = File.ReadAllLines(path);
        Assert.AreEqual("step,epoch,seconds,validation_loss,validation_accuracy,training_loss,training_accuracy", lines[0]);
        CollectionAssert.AreEqual(new[] { "5", "10" }, lines.Skip(1).Select(l => l.Split(',')[0]).ToArray());
        Assert.IsGreaterThan(0, double.Parse(lines[2].Split(',')[5], CultureInfo.InvariantCulture));
        CollectionAssert.AreEqual(new[] { "5", "10" }, File.ReadAllLines(bounds).Skip(1).Select(l => l.Split(',')[0]).ToArray());
        string board = Encoding.Latin1.GetString(File.ReadAllBytes(Directory.GetFiles(folder["board"]).Single()));
        foreach (string tag in new[] { "validation/loss", "training/loss", "training/accuracy", "cpr_lambda/weight" })
        {
            StringAssert.Contains(board, tag);
        }
        Assert.DoesNotContain("train/", board);
        Assert.ThrowsExactly<OptionException>(() => MetricsLog.ToCsv(path, -1));
        Assert.ThrowsExactly<OptionException>(() => MetricsLog.ConstraintsToCsv(path, -1));
        using TrainingDriver free = new(TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions
        {
            Optimizer = new() { Groups = [UpdateRule.Adam(1e-2)] },
        }), new DriverOptions { Threads = 1 });
        new Trainer(free).Fit(BatchSource.From(Batches), Options(1, MetricsLog.ConstraintsToCsv(bounds)));
        Assert.IsFalse(File.Exists(bounds), "bounds of an earlier run");
    }

    [TestMethod]
    public void ResumedLogs_GoOnBehindTheSavedStep_WithoutHalfLines()
    {
        using var folder = new TemporaryFolder();
        string csv = folder["m.csv"], json = folder["m.jsonl"];
        using TrainingDriver driver = Create();
        CsvLog first = new(csv, 1);
        first.OnFitBegin(new Trainer(driver), Options(1), 0);
        File.AppendAllText(csv, "1,0,0.1,2,0.01,0,,\n2,0,0.2,2,0.01,0,,\n3,0,0.3,2,0.01,0,,\n4,0,0.");
        File.WriteAllText(json, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st");
        first.OnFitEnd(new Trainer(driver));
        CsvLog again = new(csv, 1);
        JsonLinesLog lines = new(json, 1);
        again.OnFitBegin(new Trainer(driver), Options(1), 2);
        lines.OnFitBegin(new Trainer(driver), Options(1), 2);
        again.OnFitEnd(new Trainer(driver));
        lines.OnFitEnd(new Trainer(driver));
        Assert.HasCount(3, File.ReadAllLines(csv));
        CollectionAssert.AreEqual(new[] { "{\"step\":1}", "{\"step\":2}" }, File.ReadAllLines(json));
    }

    // A log is never worth a run.
    [TestMethod]
    [DataRow("a,b\n", "begins with 'a,b'")]
    [DataRow("step,epo", "begins with 'step,epo'")]
    [DataRow("step,epoch,seconds,loss,learning_rate,active_constraints,validation_loss,validation_accuracy\n1,0,0.1,2,0.01,0,,\n2,0,0.",
        "has 1 line(s) that were written in part")]
    public void ALogThatWasWrittenInPart_IsSetAside_AndTheRunGoesOn(string content, string told)
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        var checkpoint = new CheckpointOptions(folder.FolderPath) { Resume = true };
        new Trainer(driver).Fit(Epochs, Options(1) with { Checkpoint = checkpoint });
        File.WriteAllText(folder["m.csv"], content);
        FitOptions options = Options(2, MetricsLog.ToCsv(folder["m.csv"], 1)) with { Checkpoint = checkpoint };
        FitResult result = new Trainer(driver).Fit(Epochs, options);
        StringAssert.Contains(result.Warnings.Single(), told);
        string[] lines = File.ReadAllLines(folder["m.csv"]);
        StringAssert.StartsWith(lines[0], "step,epoch,seconds");
        StringAssert.StartsWith(lines[^1], "10,1,");
        Assert.AreEqual(told.StartsWith("begins", StringComparison.Ordinal), File.Exists(folder["m.csv.aside"]));
        if (File.Exists(folder["m.csv.aside"])) Assert.AreEqual(content, File.ReadAllText(folder["m.csv.aside"]));
    }

    [TestMethod]
    public void JsonLines_AreObjects()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        new Trainer(driver).Fit(Epochs, Options(1, MetricsLog.ToJsonLines(folder["m.jsonl"], 2)));
        JsonNode[] lines = [.. File.ReadAllLines(folder["m.jsonl"]).Select(l => JsonNode.Parse(l)!)];
        CollectionAssert.AreEqual(new[] { 2L, 4, 5, 5 }, lines.Select(l => l["step"]!.GetValue<long>()).ToArray());
        Assert.IsGreaterThan(0, lines[2]["validation_loss"]!.GetValue<double>());
        Assert.IsGreaterThan(0, lines[0]["loss"]!.GetValue<double>());
    }

    // CRC-32C of "123456789" is 0xE3069283 by the definition of the checksum.
    [TestMethod]
    public void TensorBoardChecksum_IsMaskedCrc32C() =>
        Assert.AreEqual(unchecked(((0xE3069283u >> 15) | (0xE3069283u << 17)) + 0xa282ead8u), TensorBoardWriter.Masked("123456789"u8));

    [TestMethod]
    public void TensorBoard_RecordsAreFramedEvents()
    {
        using var folder = new TemporaryFolder();
        string path;
        using (var writer = new TensorBoardWriter(folder.FolderPath))
        {
            path = writer.Path;
            writer.AddScalar("train/loss", 300, 2.5);
        }
        byte[] bytes = File.ReadAllBytes(path);
        var records = new List<byte[]>();
        for (int at = 0; at < bytes.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            Assert.AreEqual(TensorBoardWriter.Masked(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            records.Add(bytes[(at + 12)..(at + 12 + length)]);
            Assert.AreEqual(TensorBoardWriter.Masked(records[^1]), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            at += 16 + length;
        }
        Assert.HasCount(2, records);
        // Event: wall_time 1 (fixed64), file_version 3; then step 2 (300 as a varint), summary 5 { value 1 { tag 1, simple_value 2 } }.
        CollectionAssert.AreEqual(Encoding.UTF8.GetBytes("brain.Event:2"), records[0][11..]);
        byte[] expected = [0x10, 0xAC, 0x02, 0x2A, 19, 0x0A, 17, 0x0A, 10, .. "train/loss"u8, 0x15, .. BitConverter.GetBytes(2.5f)];
        CollectionAssert.AreEqual(expected, records[1][9..]);
    }

    [TestMethod]
    public void TensorBoardLog_WritesEveryGroup()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        new Trainer(driver).Fit(Epochs, Options(1, MetricsLog.ToTensorBoard(folder.FolderPath, 5)));
        string text = Encoding.Latin1.GetString(File.ReadAllBytes(Directory.GetFiles(folder.FolderPath).Single()));
        foreach (string tag in new[] { "train/loss", "train/learning_rate", "train/active_constraints", "validation/loss",
            "validation/accuracy", "cpr_lambda/weight", "cpr_kappa/weight", "cpr_measure/weight" })
        {
            StringAssert.Contains(text, tag);
        }
    }

    [TestMethod]
    public void ProgressBar_TellsStepsRateAndFigures()
    {
        using TrainingDriver driver = Create();
        var plain = new StringWriter();
        var terminal = new StringWriter();
        new Trainer(driver).Fit(Epochs, Options(2, new ProgressBar(plain, false, TimeSpan.Zero), new ProgressBar(terminal, true)));
        string[] lines = plain.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        StringAssert.Contains(lines[0], "epoch 1  step 1/10  ");
        foreach (string part in new[] { " steps/s", " left  loss ", "  lr 0.01  0/1 bounds active" }) StringAssert.Contains(lines[0], part);
        StringAssert.Contains(lines.Last(l => l.Contains("validation", StringComparison.Ordinal)), "step 10/10");
        StringAssert.Contains(terminal.ToString(), "\r");
    }

    private sealed class Collector : ILogger
    {
        public List<string> Messages { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Messages.Add(formatter(state, exception));
    }

    [TestMethod]
    public void Logger_GetsMessages()
    {
        using TrainingDriver driver = Create();
        var collector = new Collector();
        new Trainer(driver).Fit(Epochs, Options(1, MetricsLog.ToLogger(collector, 5)));
        Assert.AreEqual("training from step 0, 5 in all", collector.Messages[0]);
        StringAssert.StartsWith(collector.Messages[1], "step 5 epoch 0: loss ");
        StringAssert.Contains(collector.Messages[2], "validation_accuracy");
    }

    [TestMethod]
    public void FoldersThatCannotBeWritten_AreNamed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["taken"], "");
        using TrainingDriver driver = Create();
        string path = Path.Combine(folder["taken"], "metrics.csv");
        StringAssert.Contains(Assert.ThrowsExactly<FileAccessException>(() =>
            new Trainer(driver).Fit(Epochs, Options(1, MetricsLog.ToCsv(path)))).Message, path);
        Assert.ThrowsExactly<FileAccessException>(() =>
            new Trainer(driver).Fit(Epochs, Options(1, MetricsLog.ToTensorBoard(folder["taken"]))));
        Assert.ThrowsExactly<FileAccessException>(() =>
            new Trainer(driver).Fit(Epochs, Options(1) with { Checkpoint = new CheckpointOptions(folder["taken"]) }));
    }
}
