using Microsoft.ML;
using OrtCpr.Data;
using OrtCpr.Metrics;
using OrtCpr.Tables;

namespace OrtCpr.Tests.House;

/// <summary>The programs of docs/tables.md; <see cref="DocBlockTests"/> compares them.</summary>
internal static class TableExamples
{
    public static void Train()
    {
        using TableSource table = TableSource.FromParquet("flowers.parquet", new TableOptions
        {
            Label = "species",
            Categorical = ["colour"],
            MissingValue = 0,
        });
        (DataSource training, DataSource validation) = table.Split(0.8);
        using TrainingDriver driver = TrainingDriver.Create("mlp.onnx");
        new Trainer(driver).Fit(new DataLoader(training, driver.Plan.BatchInputs), new FitOptions
        {
            Epochs = 20,
            Validation = new DataLoader(validation, driver.Plan.BatchInputs, new DataLoaderOptions { Shuffle = false }),
            Metrics = [Metric.Accuracy()],
        });
    }

    public static void Others(TableSource table, IDataView view)
    {
        using TableSource test = TableSource.FromParquet("test.parquet", table.Options);
        using TableSource arrow = TableSource.FromArrow("flowers.feather", new TableOptions { Label = "species" });
        using TableSource rows = TableSource.FromDataView(view, new TableOptions { Label = "Label", Features = ["Features"] });
    }
}
