using Grokking;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Samples;

[TestClass]
[DoNotParallelize]
public sealed class GrokkingCommandLineTests
{
    [TestMethod]
    [DataRow("--optimizer adamw --weight_decay 0.1", "adamw")]
    [DataRow("--optimizer adamw --weight_decay 0.0 --rescale 0.8", "adam-rescale")]
    [DataRow("--optimizer adamcpr --kappa_init_method dependent --kappa_init_param 0.8", "adamcpr-l2")]
    [DataRow("--optimizer adamcpr --kappa_init_method depended --kappa_init_param 0.8 --reg_function std", "adamcpr-std")]
    [DataRow("", "adamcpr-l2")]
    [DataRow("--optimizer adamw --weight-decay 1.0", "adamw-1.0")]
    [DataRow("--optimizer=adamw --weight_decay=0.3", "adamw-0.3")]
    [DataRow("--kappa_init_method warm_start --reg_fun huber", "adamcpr-huber-warm_start-1000")]
    [DataRow("--kappa_init_method uniform --kappa_init_param 200 --kappa_adapt", "adamcpr-l2-uniform-200")]
    [DataRow("--kappa_init_method inflection_point", "adamcpr-l2-inflection_point")]
    public void TheAuthorsLines_GiveTheRunsTheyMean(string line, string name) => Assert.AreEqual(name, Parse(line).Recipe.Name);

    [TestMethod]
    public void EveryRecipeOption_ReachesTheOptimizer()
    {
        Recipe recipe = Parse("--lr 0.01 --beta1 0.8 --beta2 0.9 --reg_function l1 --kappa_init_method warm_start --kappa_init_param 20 "
            + "--kappa_update 2 --reg_by_lr True "
            + "--reg_embedding False --rescale_alpha 0.5").Recipe;
        OptimizerOptions options =
            recipe.ToTrainingOptions(3, System.Collections.Immutable.ImmutableDictionary<string, Graph.TensorData>.Empty).Optimizer;
        ConstrainNorm constraint = options.Groups[0].Constraint!;
        Assert.AreEqual(0.01, options.Groups[0].LearningRate);
        Assert.AreEqual(new ScaleByAdam { Beta1 = 0.8, Beta2 = 0.9 }, options.Groups[0].Links[0]);
        Assert.AreEqual((Regularizer.L1, Bound.AfterSteps(20), 2.0, true),
            (constraint.Regularizer, constraint.Bound, constraint.KappaUpdate, constraint.RegularizeByLearningRate));
        Assert.AreEqual(new RescaleWeights(0.5), options.Rescaling);
        Assert.IsFalse(recipe.RegEmbedding);
    }

    [TestMethod]
    [DataRow("--betas 0.8,0.95")]
    [DataRow("--betas 0.8 0.95 --epochs 3")]
    public void Betas_MayStandTogether(string line) => Assert.AreEqual((0.8, 0.95), (Parse(line).Recipe.Beta1, Parse(line).Recipe.Beta2));

    [TestMethod]
    public void RunOptions_AreRead()
    {
        Settings s = Parse("--seeds 1,-2 --epochs 7 --threads 2 --out here --compare --resume --log_interval 10 --save-every 3 --model_dim "
            + "128 --use_ln False");
        CollectionAssert.AreEqual(new long[] { 1, -2 }, s.Seeds.ToArray());
        Assert.AreEqual((7, 2, "here", true, true, 10, 3), (s.Epochs, s.Threads, s.Out, s.Compare, s.Resume, s.EvalEvery, s.SaveEvery));
        Assert.IsTrue(Parse("--reference-seed 2") is { FromReference: true, Seeds: [2] });
        Assert.HasCount(12, s.Runs);
    }

    [TestMethod]
    [DataRow("--foo 1", "'--foo'")]
    [DataRow("--re", "'--re'")]
    [DataRow("word", "'word'")]
    [DataRow("--lr", "--lr")]
    [DataRow("--lr fast", "'fast'")]
    [DataRow("--lr -1 --epochs 1", "LearningRate is -1; expected")]
    [DataRow("--optimizer sgd", "'sgd'")]
    [DataRow("--model_dim 64", "'64'")]
    [DataRow("--kappa_init_method uniform", "not given; expected, for uniform, the bound itself")]
    [DataRow("--kappa_init_method warm_start --epochs 2", "sets bounds after step 1000, but the run has 16")]
    [DataRow("--kappa_init_method inflection_point --epochs 2", "four samples, 200 steps apart, but the run has 16")]
    [DataRow("--kappa_init_param 0", "factor is 0; expected a factor above 0")]
    [DataRow("--reference_seed 3", "--reference_seed: expected 1, 2 or 1,2")]
    [DataRow("--reference_seed 1 --seed 2", "give one of --seed and --reference_seed")]
    [DataRow("--reference_seed 1 --p 100", "leave out --p")]
    [DataRow("--seeds 1,1", "a seed is named twice")]
    [DataRow("--seed x", "'x' is no number")]
    [DataRow("--seed 1.5", "'1.5' is no number; expected whole numbers")]
    [DataRow("--betas 1", "--betas has 1 numbers")]
    [DataRow("--optimizer adam --weight_decay 1", "adam has no weight decay")]
    [DataRow("--compare --optimizer adamw", "--compare chooses the optimizers itself; leave out --optimizer")]
    [DataRow("--p 200 --epochs 0", "--epochs is 0; expected at least 1; --p is 200; expected 2 to 113")]
    public void Mistakes_AreNamed(string line, string part)
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = Run($"{line} --out {folder.FolderPath}");
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, part);
        Assert.DoesNotContain("   at OrtCpr", output);
    }

    private static Settings Parse(string line)
    {
        Settings? found = null;
        int code = Settings.Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries), (settings, _) =>
        {
            found = settings;
            return 0;
        });
        Assert.AreEqual(0, code);
        return found!;
    }

    private static (int Code, string Output) Run(string line)
    {
        (TextWriter output, TextWriter error) = (Console.Out, Console.Error);
        using var written = new StringWriter();
        Console.SetOut(written);
        Console.SetError(written);
        try
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return (Settings.Run(words, (settings, cancellation) => Experiment.Run(settings, null, cancellation)), written.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(error);
        }
    }
}
