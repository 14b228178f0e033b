using Cifar100;

namespace OrtCpr.Tests.Samples;

// The command lines of the authors' README, word for word behind the program's name, on a few images and for eight steps.
[TestClass]
[DoNotParallelize]
public sealed class Cifar100Tests
{
    private static TemporaryFolder _data = null!;

    [ClassInitialize]
    public static void MakeImages(TestContext _)
    {
        _data = new TemporaryFolder();
        SyntheticImages.Write(_data.FolderPath, training: 16, test: 8);
    }

    [ClassCleanup]
    public static void Remove() => _data.Dispose();

    private static (int Code, string Output) Run(string words, TemporaryFolder folder)
    {
        TextWriter output = Console.Out, error = Console.Error;
        using var text = new StringWriter();
        Console.SetOut(text);
        Console.SetError(text);
        try
        {
            string[] more = ["--max_train_steps", "8", "--batch_size", "4", "--eval_interval", "8", "--data_dir", _data.FolderPath,
                "--output_dir", folder["cifar100"], "--threads", "1"];
            int code = (int)typeof(Settings).Assembly.EntryPoint!.Invoke(null,
                [words.Split(' ', StringSplitOptions.RemoveEmptyEntries).Concat(more).ToArray()])!;
            return (code, text.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(error);
        }
    }

    [TestMethod]
    [DataRow("--optimizer adamcpr --lr 0.001 --kappa_init_method dependent --kappa_init_param 1.0", "adamcpr_dependent_1_l2_l0.001_seed1")]
    [DataRow("--optimizer adamcpr --lr 0.001 --kappa_init_method warm_start --kappa_init_param 1000",
        "adamcpr_warm_start_1_l2_l0.001_seed1")]
    [DataRow("--optimizer adamcpr --lr 0.001 --kappa_init_method inflection_point ", "adamcpr_inflection_point_l2_l0.001_seed1")]
    [DataRow("--optimizer adamw --lr 0.001 --weight_decay 0.001", "adamw_w0.001_l0.001_seed1")]
    [DataRow("--optimizer adamw --lr 0.001 --weight_decay 0 --rescale_alpha 0.8", "adamw_w0_re0.8_l0.001_seed1")]
    [DataRow("--optimizer adam_awd --lr 0.001 --weight_decay 0.1 ", "adam_awd_w0.1_l0.001_seed1")]
    [DataRow("--optimizer adam_adadecay --lr 0.001 --weight_decay 0.1 ", "adam_adadecay_w0.1_l0.001_seed1")]
    // Beside them: stochastic gradient descent without and with a constraint.
    [DataRow("--optimizer sgd --lr 0.03 --weight_decay 0.001", "sgd_w0.001_l0.03_seed1")]
    [DataRow("--optimizer sgdcpr --lr 0.1 --kappa_init_method warm_start --kappa_init_param 500", "sgdcpr_warm_start_1_l2_l0.1_seed1")]
    public void CommandLinesOfTheAuthors(string words, string name)
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = Run(words, folder);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, $"{name}: test accuracy ");
        Assert.IsTrue(File.Exists(Path.Combine(folder["cifar100"], name, "model.onnx")));
    }

    [TestMethod]
    public void MissingData_AndOptionsThatMakeNoSense_AreExplained()
    {
        using var folder = new TemporaryFolder();
        Assert.AreEqual(1, Run("--optimizer adamcpr --rescale_alpha 0.8", folder).Code);
        (int code, string output) = Run("--optimizer lion", folder);
        Assert.AreNotEqual(0, code);
        StringAssert.Contains(output, "lion");
    }

    [TestMethod]
    public void StandIn_IsTheSameEveryTime_AndHasEveryClass()
    {
        using var folder = new TemporaryFolder();
        SyntheticImages.Write(folder.FolderPath, training: 100, test: 1);
        using Data.DataSource source = Data.DataSource.FromCifar(folder.FolderPath, training: true);
        byte[] label = new byte[8];
        var seen = new HashSet<long>();
        for (long row = 0; row < source.Count; row++)
        {
            source.Read(1, row, label);
            seen.Add(BitConverter.ToInt64(label));
        }
        Assert.HasCount(100, seen);
        CollectionAssert.AreEqual(File.ReadAllBytes(_data["test.bin"]).Take(3074).ToArray(), File.ReadAllBytes(folder["test.bin"]));
    }
}
