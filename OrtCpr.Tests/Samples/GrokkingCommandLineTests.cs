using Grokking;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class GrokkingCommandLineTests
{
    [TestMethod]
    [DataRow("--optimizer adamw --weight_decay 0.1", "adamw", "")]
    [DataRow("--optimizer adamw --weight_decay 0.0 --rescale 0.8", "adam-rescale", "")]
    [DataRow("--optimizer adamcpr --kappa_init_method dependent --kappa_init_param 0.8", "adamcpr-l2", "")]
    [DataRow("--optimizer adamcpr --kappa_init_method depended --kappa_init_param 0.8 --reg_function std", "adamcpr-std", "")]
    [DataRow("", "adamcpr-l2", "")]
    [DataRow("--optimizer adamw --weight-decay 1.0", "adamw-1.0", "")]
    [DataRow("--optimizer=adamw --weight_decay=0.3", "adamw-0.3", "")]
    [DataRow("--kappa_init_method warm_start --reg_fun huber", "adamcpr-huber-warm_start-1000", "")]
    [DataRow("--kappa_init_method uniform --kappa_init_param 200 --kappa_adapt", "adamcpr-l2-uniform-200", "--kappa_adapt does nothing, as in the authors' script and has no effect here.")]
    [DataRow("--kappa_init_method inflection_point", "adamcpr-l2-inflection_point", "")]
    public void TheAuthorsLines_GiveTheRunsTheyMean(string line, string name, string note)
    {
        CommandLine parsed = Parse(line);
        Assert.IsEmpty(parsed.Problems, string.Join(' ', parsed.Problems));
        Assert.AreEqual(name, parsed.Options.Recipe.Name);
        Assert.AreEqual(note, string.Join(' ', parsed.Notes));
    }

    [TestMethod]
    public void EveryRecipeOption_ReachesTheOptimizer()
    {
        Recipe recipe = Parse("--lr 0.01 --beta1 0.8 --beta2 0.9 --reg_function l1 --kappa_init_method warm_start --kappa_init_param 20 --kappa_update 2 --reg_by_lr True --reg_embedding False --rescale_alpha 0.5").Options.Recipe;
        OptimizerOptions options = recipe.ToTrainingOptions(3, System.Collections.Immutable.ImmutableDictionary<string, Graph.TensorData>.Empty).Optimizer;
        ConstrainNorm constraint = options.Groups[0].Constraint!;
        Assert.AreEqual(0.01, options.Groups[0].LearningRate);
        Assert.AreEqual(new ScaleByAdam { Beta1 = 0.8, Beta2 = 0.9 }, options.Groups[0].Links[0]);
        Assert.AreEqual((Regularizer.L1, KappaInitMethod.WarmStart, 20.0, 2.0, true), (constraint.Regularizer, constraint.KappaInitMethod, constraint.KappaInitParam, constraint.KappaUpdate, constraint.RegularizeByLearningRate));
        Assert.AreEqual(new RescaleWeights(0.5), options.Rescaling);
        Assert.IsFalse(recipe.RegEmbedding);
    }

    [TestMethod]
    [DataRow("--betas 0.8,0.95")]
    [DataRow("--betas 0.8 0.95 --epochs 3")]
    public void Betas_MayStandTogether(string line) => Assert.AreEqual((0.8, 0.95), (Parse(line).Options.Recipe.Beta1, Parse(line).Options.Recipe.Beta2));

    [TestMethod]
    public void RunOptions_AreRead()
    {
        Options options = Parse("--seeds 1,-2 --epochs 7 --threads 2 --out here --compare --resume --log_interval 10 --save-every 3 --model_dim 128 --use_ln False").Options;
        CollectionAssert.AreEqual(new long[] { 1, -2 }, options.Seeds.ToArray());
        Assert.AreEqual((7, 2, "here", true, true, 10, 3), (options.Epochs, options.Threads, options.Out, options.Compare, options.Resume, options.EvalEvery, options.SaveEvery));
        Assert.IsTrue(Parse("--reference-seed 2").Options is { FromReference: true, Seeds: [2] });
    }

    [TestMethod]
    [DataRow("--foo 1", "Unknown option '--foo'.")]
    [DataRow("--re", "'--re' is ambiguous: --rescale_alpha, --reg_function, --reg_step_size, --reg_ema_decay, --reg_embedding, --reg_by_lr, --reference_seed, --resume.")]
    [DataRow("word", "'word' stands where an option was expected.")]
    [DataRow("--lr", "--lr has no value; expected a number of at least 0.")]
    [DataRow("--lr fast", "--lr is 'fast'; expected a number of at least 0.")]
    [DataRow("--lr -1", "--lr is '-1'; expected a number of at least 0.")]
    [DataRow("--optimizer sgd", "--optimizer is 'sgd'; expected one of adamcpr|adamw|adam.")]
    [DataRow("--model_dim 64", "--model_dim is '64'; expected 128, as in the model file.")]
    [DataRow("--kappa_init_method uniform", "--kappa_init_method uniform needs the bound itself: give --kappa_init_param, at least 0.")]
    [DataRow("--kappa_init_method warm_start --epochs 2", "--kappa_init_param is 1000; expected, for warm_start, whole steps of at least 1 and fewer than the 16 of the run.")]
    [DataRow("--kappa_init_param 0", "--kappa_init_param is 0; expected, for dependent, a factor above 0.")]
    [DataRow("--reference_seed 3", "--reference_seed is '3'; expected 1, 2 or 1,2.")]
    [DataRow("--reference_seed 1 --seed 2", "Give one of --seed, --reference_seed.")]
    [DataRow("--compare --optimizer adamw", "--compare chooses the optimizers itself; leave out --optimizer.")]
    [DataRow("--p 200 --epochs 0 --nonsense", "--p is '200'; expected a whole number from 2 to 113.|--epochs is '0'; expected a whole number of at least 1.|Unknown option '--nonsense'.")]
    public void Mistakes_AreAllNamed(string line, string problems) => Assert.AreEqual(problems, string.Join('|', Parse(line).Problems));

    [TestMethod]
    public void AMistake_EndsWithCode2AndTheListOfOptions()
    {
        TextWriter standard = Console.Error;
        using var written = new StringWriter();
        Console.SetError(written);
        try
        {
            Assert.AreEqual(2, Grokking.Program.Main(["--learning_rate", "1"]));
        }
        finally
        {
            Console.SetError(standard);
        }
        StringAssert.StartsWith(written.ToString(), "Unknown option '--learning_rate'.");
        StringAssert.Contains(written.ToString(), "--kappa_init_method");
    }

    private static CommandLine Parse(string line) => CommandLine.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
