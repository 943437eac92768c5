"""The values of a DICOM header that tell nothing of a person: those of the standard's lists.

Any element may hold anything: a patient's name in Manufacturer, a physician's in ViewPosition.
Only values on these lists are kept. Sources: DICOM PS3.3, C.7.3.1.1.1 (Modality), C.8.1.1 and
C.8.11.7 (ViewPosition), C.7.3.1 (Laterality); PS3.16, Annex L (BodyPartExamined, the common ones)
and CID 4014 (views of the breast).
"""

from __future__ import annotations

import re

OTHER = "other"
"""Stands for a value that is on no list."""
MODALITIES = """
    BI BMD CFM CR CT DG DMS DX ECG ES GM HC IO IVOCT IVUS LS MG MR NM OCT OP OPM OPT OPTBSV
    OPTENF OPV OT PA PT PX RF RG RTDOSE RTIMAGE SC SEG SM TG US VL XA XC
"""
VIEWS = """
    AP PA LL RL RLD LLD RLO LLO LATERAL LAT OBLIQUE AXIAL LORDOTIC CC MLO ML LM LMO XCCL XCCM FB
    SIO ISO CV AT RL RM RCC CCID MLID SPECIMEN
"""
BODY_PARTS = """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BILEDUCT BLADDER BRAIN BREAST
    BRONCHUS BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS
    CIRCLEOFWILLIS CLAVICLE COCCYX COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR ELBOW
    ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FIBULA FINGER FOOT FOREARM GALLBLADDER HAND HEAD
    HEADNECK HEART HIP HUMERUS ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE
    LSSPINE LUNG MANDIBLE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN
    NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE
    RECTUM RETINA RIB SCALP SCAPULA SCLERA SCROTUM SHOULDER SINUS SKIN SKULL SPINE SPLEEN SSPINE
    STERNUM STOMACH SUBMANDIBULAR TESTIS THIGH THUMB THYMUS THYROID TLSPINE TMJ TOE TONGUE
    TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA
"""
TERMS = {
    "Modality": frozenset(MODALITIES.split()),
    "PatientSex": frozenset("FMO"),
    "ImageLaterality": frozenset("LRBU"),
    "ViewPosition": frozenset(VIEWS.split()),
    "BodyPartExamined": frozenset(BODY_PARTS.split()),
}
"""By keyword, in upper case and without blanks."""
MAKERS = (
    "Agfa", "Canon", "Carestream", "Carl Zeiss", "Esaote", "Fuji", "GE", "Gendex",
    "General Electric", "Giotto", "Heidelberg", "Hitachi", "Hologic", "IMS", "Kodak", "Konica",
    "Leica", "Lorad", "Mindray", "Nidek", "Olympus", "Optos", "Philips", "Picker", "Planmed",
    "Samsung", "Shimadzu", "Siemens", "Sirona", "Swissray", "Topcon", "Toshiba",
    "United Imaging", "Varian", "Vieworks",
)  # fmt: skip
"""Makers of devices, as they are shown; a manufacturer is recognized by how it begins."""
IDENTIFYING = frozenset(
    {
        "AccessionNumber",
        "AdmissionID",
        "EthnicGroup",
        "IssuerOfPatientID",
        "MedicalRecordLocator",
        "MilitaryRank",
        "OtherPatientIDs",
        "OtherPatientIDsSequence",
        "PatientAddress",
        "PatientBirthDate",
        "PatientBirthTime",
        "PatientComments",
        "PatientID",
        "PatientInsurancePlanCodeSequence",
        "PatientTelephoneNumbers",
        "PatientTelecomInformation",
    }
)
"""Keywords that no column is made of, besides all names of persons."""
OLDEST = 90.0
"""Stands for this age and every higher one: 45 CFR 164.514(b)(2)(i)(C)."""


def listed(keyword: str, value: str) -> str:
    """A value if it is on its element's list, `other` if it is not, and empty if it is empty."""
    if not value:
        return ""
    if keyword == "Manufacturer":
        return next((maker for maker in MAKERS if _begins(value, maker)), OTHER)
    term = re.sub(r"[\s_-]", "", value).upper()
    return term if term in TERMS[keyword] else OTHER


def _begins(value: str, maker: str) -> bool:
    """Whether a value begins with a maker's name; what follows may be a part of the word."""
    # GE and IMS are words of their own: a name may begin with these letters.
    end = r"\b" if len(maker) < 4 else ""
    return re.match(re.escape(maker) + end, value, re.IGNORECASE) is not None
