"""Areas by the names of regions in them: whole names, since `eu-west-2` is in London and `europe-west6` in Zurich.

A region that is not listed is in no area, so that a rule fails rather than passes for a place nobody looked up. Where a
vendor uses a name for another place than most do, its own list of regions decides whether it has it at all.
"""

from collections.abc import Mapping

EU = frozenset(
    {
        *("eu", "eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3", "eusc-de-east-1"),
        *("europe-central2", "europe-north1", "europe-north2", "europe-southwest1", "europe-west1", "europe-west3"),
        *("europe-west4", "europe-west8", "europe-west9", "europe-west10", "europe-west12"),
        *("westeurope", "northeurope", "swedencentral", "swedensouth", "francecentral", "francesouth"),
        *("germanywestcentral", "germanynorth", "italynorth", "polandcentral", "spaincentral", "austriaeast"),
        *("belgiumcentral", "denmarkeast", "eu-de", "eu-es", "eu-frankfurt", "eu-west-101"),
    }
)
AREAS: Mapping[str, frozenset[str]] = {
    "EU": EU,
    "EEA": EU | {"norwayeast", "norwaywest"},
    "UK": frozenset({"eu-west-2", "europe-west2", "uksouth", "ukwest", "eu-gb"}),
    "CH": frozenset({"eu-central-2", "europe-west6", "switzerlandnorth", "switzerlandwest"}),
    "US": frozenset(
        {
            *("us", "us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1"),
            *("us-central1", "us-east1", "us-east4", "us-east5", "us-east7", "us-south1"),
            *("us-west1", "us-west2", "us-west3", "us-west4", "us-west8", "us-south", "us-east"),
            *("eastus", "eastus2", "centralus", "northcentralus", "southcentralus", "westcentralus"),
            *("westus", "westus2", "westus3"),
        }
    ),
}
"""Area → regions that lie in it."""
