using Gpt2;

namespace OrtCpr.Tests.Samples;

// The whole table on a little text, interrupted by nothing; and the verdict on numbers made up.
[TestClass]
[DoNotParallelize]
public sealed class Gpt2Tests
{
    [TestMethod]
    public void TheTable_OnALittleText()
    {
        using var folder = new TemporaryFolder();
        GeneratedText.Write(folder["data"], training: 2000, validation: 300);
        TextWriter output = Console.Out, error = Console.Error;
        using var text = new StringWriter();
        Console.SetOut(text);
        Console.SetError(text);
        string[] words = ["--data_dir", folder["data"], "--steps", "30", "--seeds", "1", "--weight_decay", "0.01", "--batch_size", "2",
            "--sequence_length", "16", "--threads", "1", "--out", folder["out"]];
        try
        {
            Assert.AreEqual(0, (int)typeof(GeneratedText).Assembly.EntryPoint!.Invoke(null, [words])!, text.ToString());
            Assert.AreEqual(0, (int)typeof(GeneratedText).Assembly.EntryPoint!.Invoke(null, [words.Append("--resume").ToArray()])!,
                text.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(error);
        }
        foreach (string part in new[] { "| adamw-0.01 | 30 | 1 |", "| adamcpr | 30 | 1 |", "| adamcpr-two-thirds | 20 | 1 |",
            "AdamCPR at equal steps: ", "AdamCPR at two thirds of the steps: " })
        {
            StringAssert.Contains(text.ToString(), part);
        }
        Assert.IsTrue(File.Exists(Path.Combine(folder["out"], "adamcpr-seed1", "constraints.csv")));
    }

    [TestMethod]
    public void Verdict_IsGivenInEveryDirection()
    {
        using var folder = new TemporaryFolder();
        var table = new ResultTable(folder["results.csv"], resume: false);
        foreach ((string name, double[] values) in new[] { ("adamw-0.1", new double[] { 10, 10.2 }), ("adamw-0.01", [9, 9.2]),
            (ResultTable.Cpr, [8, 8.1]), (ResultTable.ShortCpr, [9.05, 9.1]) })
        {
            for (int i = 0; i < values.Length; i++) table.Add(name, i + 1, 100, values[i]);
        }
        using var text = new StringWriter();
        new ResultTable(folder["results.csv"], resume: true).Write(text);
        StringAssert.Contains(text.ToString(), "at equal steps: 1.05 perplexity better than the best AdamW (adamw-0.01)");
        StringAssert.Contains(text.ToString(), "at two thirds of the steps: no clear difference");
        table.Add(ResultTable.Cpr, 3, 100, 30);
        table.Add(ResultTable.Cpr, 4, 100, 30);
        table.Add("adamw-0.01", 3, 100, 9.1);
        foreach (int seed in Enumerable.Range(5, 40)) table.Add(ResultTable.Cpr, seed, 100, 30);
        using var worse = new StringWriter();
        table.Write(worse);
        StringAssert.Contains(worse.ToString(), "WORSE than the best AdamW");
    }
}
