using System.Text.RegularExpressions;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Tests.Losses;
using OrtCpr.Tool;
using OrtCpr.Tool.Train;

namespace OrtCpr.Tests.Tool;

// Losses, constant inputs and the words of messages on the command line.
[TestClass]
[DoNotParallelize]
public sealed partial class LossOptionTests
{
    private static Loss Parse(params string[] texts) => LossText.Parse(texts, new LossDefaults());

    [TestMethod]
    public void Losses_AreReadFromTheirTexts()
    {
        Assert.AreEqual(new CrossEntropyLoss(), Parse("cross_entropy"));
        Assert.AreEqual(new MseLoss { TargetName = "boxes", Output = "pred:0" }, Parse("mse:boxes@pred:0"));
        Assert.AreEqual(new HuberLoss(2, Reduction.Sum) { TargetName = "t:0" }, Parse("huber(delta=2, reduction=sum):t:0"));
        Assert.AreEqual(new InfoNceLoss("text") { Output = "image", Temperature = 0.1 },
            Parse("info-nce(other=text,temperature=0.1)@image"));
        var sum = (WeightedSumLoss)Parse("mse:boxes*0.4", "cross_entropy:labels@logits");
        Assert.AreEqual((new MseLoss { TargetName = "boxes" }, 0.4), ((MseLoss)sum.Terms[0].Loss, sum.Terms[0].Weight));
        Assert.AreEqual("logits", sum.Terms[1].Loss.Output);
        Assert.AreEqual(0.5, ((WeightedSumLoss)Parse("mse*0.5")).Terms.Single().Weight);
        var defaults = new LossDefaults { ClassWeights = [1, 2], ClassAxis = 1, IgnoreLabel = 255, Output = "y", LabelSmoothing = 0.1 };
        var entropy = (CrossEntropyLoss)LossText.Parse(["cross_entropy"], defaults);
        Assert.AreEqual((1, 255, "y", 0.1), (entropy.ClassAxis, entropy.IgnoreIndex, entropy.Output, entropy.LabelSmoothing));
        foreach ((string text, string part) in new[]
        {
            ("mae", "--loss 'mae' is not known"), ("mse*x", "'x' is no number"), ("mse(delta=1)", "mse has no setting 'delta'"),
            ("huber(delta)", "no SETTING=VALUE"), ("huber(delta=1", "not closed"), ("mse:", "a name is missing"),
            ("triplet_margin(positive=p)", "setting negative is missing"),
        })
        {
            StringAssert.Contains(Assert.ThrowsExactly<ToolException>(() => Parse(text)).Message, part);
        }
        Assert.ThrowsExactly<ToolException>(() => LossText.Parse(["mse", "l1"], defaults));
    }

    [TestMethod]
    public void EveryLoss_HasItsKindOnTheCommandLine()
    {
        string[] kinds = [.. typeof(Loss).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Loss)) && !t.IsAbstract
            && t != typeof(CustomLoss) && t != typeof(WeightedSumLoss))
            .Select(t => Snake().Replace(t.Name[..^4], "_$1").ToLowerInvariant())];
        CollectionAssert.AreEquivalent(kinds, LossText.Kinds.Split(", "));
    }

    [GeneratedRegex("(?<=.)([A-Z])")]
    private static partial Regex Snake();

    [TestMethod]
    public void Messages_NameOptions_NotMembers()
    {
        Assert.AreEqual("say which one by --output.", OptionNames.Say("say which one by Loss.Output."));
        Assert.AreEqual("'Loss.Output' stays; --train and the library's constrain",
            OptionNames.Say("'Loss.Output' stays; ParameterOptions.Train and ParameterOptions.Constrain"));
        Assert.AreEqual("take --loss nll.", OptionNames.Say("take NllLoss (nll)."));
        Assert.AreEqual("one does by --class-axis: 1", OptionNames.Say("one does by ClassAxis: 1"));
        Assert.AreEqual("the library's max gradient norm of it", OptionNames.Say("XOptions.MaxGradientNorms of it")
            .Replace("norms", "norm", StringComparison.Ordinal));
        // Every member that the sources name in a message is said as an option, or as one of the library.
        foreach (string member in MembersInMessages())
        {
            string said = OptionNames.Say($"Use {member} then.");
            Assert.IsFalse(Forbidden().IsMatch(said), said);
        }
    }

    [GeneratedRegex(@"\b(Loss|(Parameter|Training|Fit|Optimizer|Driver|Checkpoint|DataLoader)Options)\.")]
    private static partial Regex Forbidden();

    [GeneratedRegex(@"\{nameof\((\w+)\)\}\.\{nameof\((?:\w+\.)?(\w+)\)\}|\b(\w+Options\.[A-Z]\w+)\b(?=[^;]*"")")]
    private static partial Regex Named();

    private static IEnumerable<string> MembersInMessages() => new[] { "OrtCpr.Graph", "OrtCpr" }.SelectMany(House.Repository.Sources)
        .SelectMany(s => s.Lines).Where(l => !l.TrimStart().StartsWith("///", StringComparison.Ordinal) && l.Contains('"'))
        .SelectMany(l => Named().Matches(l))
        .Select(m => m.Groups[1].Success ? $"{m.Groups[1].Value}.{m.Groups[2].Value}" : m.Groups[3].Value)
        .Distinct();

    private static (int ExitCode, string Output) Run(params string[] arguments) => CommandTests.Run(arguments);

    // x [N, 3] (times a rate that is an input of rank 0), two outputs.
    private static string Model(TemporaryFolder folder)
    {
        byte[] model = LossModels.Make((g, graph) =>
        {
            Value x = graph.AddInput("x", ElementType.Float, new Shape(LossModels.Symbol("N"), 3));
            Value rate = graph.AddInput("rate", ElementType.Float, Shape.Scalar);
            Value scaled = g.Mul(x, rate);
            Value hidden = g.Named(g.Gemm(scaled, TestModels.Weight(graph, "w", 3, 3)), "hidden");
            Value logits = g.Add(hidden, TestModels.Weight(graph, "b", 3));
            Value aux = g.ReduceSum(g.Mul(hidden, TestModels.Weight(graph, "v", 3)), true, 1);
            return [("aux", aux), ("probabilities", g.Softmax(logits, 1))];
        });
        File.WriteAllBytes(folder["model.onnx"], model);
        return folder["model.onnx"];
    }

    private static string Data(TemporaryFolder folder)
    {
        var random = new Random(1);
        float[] x = [.. Enumerable.Range(0, 30 * 3).Select(_ => random.NextSingle())];
        long[] labels = [.. Enumerable.Range(0, 30).Select(i => i % 7 == 0 ? 255L : i % 3)];
        float[] sizes = [.. Enumerable.Range(0, 30).Select(i => x[i * 3])];
        SafetensorsEntry Entry<T>(string name, ElementType type, T[] values, params long[] dims) where T : unmanaged =>
            new(name, type, dims, s => s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<T>(values)));
        SafetensorsFile.Write(folder["data.safetensors"], [Entry("x", ElementType.Float, x, 30, 3),
            Entry("labels", ElementType.Int64, labels, 30), Entry("size", ElementType.Float, sizes, 30, 1)],
            new Dictionary<string, string>());
        return folder["data.safetensors"];
    }

    // Two losses, labels that do not count, class weights, an input of rank 0, and the last batch left out: 30 examples in batches of 8.
    [TestMethod]
    public void ARunWithTwoLosses_LogsBoth()
    {
        using var folder = new TemporaryFolder();
        string model = Model(folder), data = Data(folder), job = folder["job"];
        (int code, string output) = Run("train", model, "--data", data, "--set", "rate=2", "--loss", "cross_entropy@probabilities",
            "--loss", "mse:size@aux*0.5", "--ignore-label", "255", "--class-weights", "1,2,4", "--batch-size", "8", "--drop-last",
            "--log-every", "1",
            "--metric", "accuracy", "--validation", data, "--train-only", "b", "--threads", "1", "--optimizer", "adam", "--out", job);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "Softmax of '");
        StringAssert.Contains(output, "1 tensors trained");
        string[] rows = File.ReadAllLines(Path.Combine(job, "metrics.csv"));
        string[] names = rows[0].Split(',');
        foreach (string column in new[] { "loss", "loss.cross_entropy", "loss.mse", "validation_loss.mse", "validation_accuracy" })
            CollectionAssert.Contains(names, column);
        string[] last = rows.Last(r => r.Split(',')[3].Length > 0).Split(',');
        Assert.AreEqual("3", last[0], "three whole batches");
        double Of(string name) => double.Parse(last[Array.IndexOf(names, name)], System.Globalization.CultureInfo.InvariantCulture);
        Assert.AreEqual(Of("loss"), Of("loss.cross_entropy") + (0.5 * Of("loss.mse")), 1e-6);
        // The same again from its own file, and evaluated whatever the batches.
        Assert.AreEqual(0, Run("train", "--config", Path.Combine(job, "run.json"), "--out", folder["again"]).ExitCode);
        CollectionAssert.AreEqual(File.ReadAllBytes(Path.Combine(job, "model.onnx")),
            File.ReadAllBytes(Path.Combine(folder["again"], "model.onnx")));
        string[] losses = [.. new[] { "4", "30" }.Select(size => Run("evaluate", Path.Combine(job, "model.onnx"), "--data", data, "--set",
            "rate=2", "--loss", "cross_entropy", "--output", "probabilities", "--ignore-label", "255", "--batch-size", size, "--threads",
            "1").Output.Split('\n').First(l => l.StartsWith("loss ", StringComparison.Ordinal))[..9])];
        Assert.AreEqual(losses[0], losses[1]);
    }

    [TestMethod]
    public void WhatIsWrong_IsSaidInOptions()
    {
        using var folder = new TemporaryFolder();
        string model = Model(folder), data = Data(folder), job = folder["job"];
        string Train(params string[] more) =>
            Run(["train", model, "--data", data, "--set", "rate=2", "--threads", "1", "--out", job, .. more]).Output;
        string several = Train();
        StringAssert.Contains(several, "say which one the loss takes by --output");
        StringAssert.Contains(Train("--output", "probability"), "Names like it: 'probabilities'");
        StringAssert.Contains(Train("--output", "probabilities"), "name another ignored label (--ignore-label)");
        StringAssert.Contains(Train("--loss", "mse@aux", "--loss", "l1@hidden"), "two losses name 'target'");
        StringAssert.Contains(Train("--loss", "mse@aux", "--loss", "l1@hidden"), "by --loss KIND:LABELS");
        StringAssert.Contains(Train("--output", "probabilities", "--train-only", "nothing"), "match no parameter");
        StringAssert.Contains(Train("--output", "probabilities", "--dropout", "never"), "--dropout 'never' is not known");
        StringAssert.Contains(Train("--output", "probabilities", "--set", "rate=fast"), "'fast' is no value of input 'rate' Float[]");
        StringAssert.Contains(Train("--output", "probabilities", "--set", "speed=1"), "there is no input 'speed'");
        StringAssert.Contains(Train("--output", "probabilities", "--class-weights", "1,2"), "--class-weights has 2 entries");
        StringAssert.Contains(Train("--output", "probabilities", "--ignore-label", "255", "--metric", "mse", "--validation", data),
            "Metric 'mse' does not fit the model");
        Assert.IsFalse(Forbidden().IsMatch(several));
    }
}
